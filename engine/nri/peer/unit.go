package peer

import (
	"strings"
)

// Unit returns the systemd unit or the id of the container that a cgroup's path
// belongs to; "" where there is neither. It is the outermost one: whoever is in
// charge of a cgroup names what is below it, a container with an init system of
// its own as well as a user's manager. A unit of a user's manager is written
// behind the manager's own, "user@1000.service/backup.service", so that it does
// not pass for the system's.
func Unit(cgroup string) string {
	manager := ""
	for _, name := range strings.Split(strings.TrimSuffix(cgroup, " (deleted)"), "/") {
		name = strings.TrimPrefix(name, "_") // systemd's way around names of the kernel
		id, ok := containerID(name)
		switch {
		case manager != "" && isUnit(name):
			return manager + "/" + name
		case manager != "":
		case ok:
			return id
		case !isUnit(name):
		case strings.HasPrefix(name, "user@") && strings.HasSuffix(name, ".service"):
			manager = name
		default:
			return name
		}
	}
	return manager
}

// containerID takes the id out of a name as runtimes give it: HEX, PREFIX-HEX or
// PREFIX-HEX.scope with 64 hexadecimal digits.
func containerID(name string) (string, bool) {
	scope := strings.HasSuffix(name, ".scope")
	name = strings.TrimSuffix(name, ".scope")
	prefix, id, found := strings.Cut(name, "-")
	if rest, ok := strings.CutPrefix(name, "cri-containerd-"); ok {
		prefix, id, found = "cri-containerd", rest, true
	}
	if !found {
		return name, !scope && isHex64(name)
	}
	switch prefix {
	case "cri-containerd", "crio", "docker", "libpod", "nerdctl":
		return id, isHex64(id)
	}
	return "", false
}

func isHex64(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// isUnit says whether a name is that of a unit that has processes: a service or
// a scope, in the characters of systemd.unit(5).
func isUnit(name string) bool {
	base, service := strings.CutSuffix(name, ".service")
	base, scope := strings.CutSuffix(base, ".scope")
	return (service || scope) && base != "" && strings.TrimLeftFunc(base, unitCharacter) == ""
}

func unitCharacter(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(`:-_.\@`, r)
}
