package peer

import (
	"errors"
	"slices"
	"strings"
)

// cgroup returns the path of the process's cgroup.
func (d *procDir) cgroup() (string, error) {
	b, err := d.read("cgroup")
	if err != nil {
		return "", err
	}
	path, ok := parseCgroup(string(b))
	if !ok {
		return "", errors.New("/proc/PID/cgroup names none")
	}
	return path, nil
}

// parseCgroup reads /proc/PID/cgroup, whose lines are HIERARCHY:CONTROLLERS:PATH.
// Where there is only the second version of cgroups the line is "0::PATH". Where
// both are mounted systemd keeps its units in a hierarchy of its own, or a runtime
// uses one of the controllers, and the path of the second version may be "/". So
// what says more is preferred: a path over the root, then the second version,
// then systemd's hierarchy, then the others by name.
func parseCgroup(text string) (string, bool) {
	type line struct{ controllers, path string }
	var lines []line
	for l := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSuffix(l, "\n"), ":", 3)
		if len(parts) == 3 && strings.HasPrefix(parts[2], "/") {
			lines = append(lines, line{parts[1], parts[2]})
		}
	}
	if len(lines) == 0 {
		return "", false
	}
	rank := func(l line) int {
		switch {
		case l.path == "/":
			return 3
		case l.controllers == "":
			return 0
		case l.controllers == "name=systemd":
			return 1
		}
		return 2
	}
	best := slices.MinFunc(lines, func(a, b line) int {
		if r := rank(a) - rank(b); r != 0 {
			return r
		}
		return strings.Compare(a.controllers, b.controllers)
	})
	return best.path, true
}
