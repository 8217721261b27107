package doctor

import (
	"cmp"
	"fmt"
	"path"
	"slices"
)

// runtime is a container runtime of the node.
type runtime struct {
	*dialect
	*configuration
	process *process // nil where it is not seen running
	program string   // its executable; "" where there is none
	build   build
	err     error // why its configuration could not be read
}

// loader reads a runtime's configuration: its file, and what the process was told on its
// command line.
type loader func(h host, file string, args []string) (*configuration, error)

// findRuntimes finds the runtimes of the node: by their processes, or by an executable or
// a configuration.
func (n *node) findRuntimes() {
	for _, k := range []struct {
		dialect *dialect
		load    loader
	}{
		{containerd(), loadContainerd}, {crio(), loadCRIO}, {docker(), loadDocker},
	} {
		running := n.running(k.dialect.programs)
		if len(running) == 0 {
			running = []*process{nil}
		}
		seen := map[string]bool{}
		for _, p := range running {
			if file := k.dialect.fileOf(p); !seen[file] {
				seen[file] = true
				n.addRuntime(k.dialect, k.load, p, file)
			}
		}
	}
}

// fileOf is the configuration file of a runtime that runs as p, or of one that does not run.
func (d *dialect) fileOf(p *process) string {
	if p == nil {
		return d.config
	}
	return cmp.Or(flag(p.args, "config", "c", "config-file"), d.config)
}

func (n *node) addRuntime(d *dialect, load loader, p *process, file string) {
	own := *d // what depends on the version is this one's
	r := &runtime{dialect: &own, process: p}
	r.program = n.executable(r)
	var args []string
	if p != nil {
		args = p.args
	}
	r.configuration, r.err = load(n.host, file, args)
	own.dropIn = cmp.Or(r.snippets, own.dropIn)
	if r.err == nil && p == nil && r.program == "" && len(r.files) == 0 {
		return
	}
	if r.err != nil {
		n.report.problem("%s: its configuration cannot be read: %v", r.name, r.err)
	}
	r.build = readBuild(n.host, r)
	r.takeDefaults()
	if why := r.settle(); why != "" {
		n.report.problem("%s: %s", r.name, why)
	}
	n.runtimes = append(n.runtimes, r)
}

// running finds the processes of a program.
func (n *node) running(programs []string) []*process {
	var found []*process
	for _, p := range n.processes {
		if slices.Contains(programs, path.Base(p.exe)) {
			found = append(found, p)
		}
	}
	return found
}

// programDirs are where executables of runtimes are installed.
func programDirs() []string {
	return []string{"/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin", "/bin", "/sbin", "/opt/bin"}
}

func (n *node) executable(r *runtime) string {
	if r.process != nil {
		return r.process.exe
	}
	for _, dir := range programDirs() {
		for _, name := range r.programs {
			if p := path.Join(dir, name); n.host.exists(p) {
				return p
			}
		}
	}
	return ""
}

// takeDefaults puts in what depends on the version: containerd has NRI on since 2.0, and
// knew only the first version of it up to 1.6.
func (r *runtime) takeDefaults() {
	if r.name == "containerd" && r.build.old() {
		r.dialect.enabled = false
	}
}

// on says whether NRI is on, and from what that is seen.
func (r *runtime) on() (bool, string) {
	if slices.Contains(r.disabled, nriSection) {
		return false, r.settings["disabled_plugins"].at + ": disabled_plugins has \"" + nriSection + "\""
	}
	v, at, given := r.boolOf(enable)
	if given {
		return v, at
	}
	_, negated, _ := r.key(enable)
	return r.enabled, r.unset(enable, r.enabled != negated)
}

// boolOf is the value of an option that is a bool, false where it is not given.
func (r *runtime) boolOf(o option) (value bool, at string, given bool) {
	key, negated, ok := r.key(o)
	s, given := r.settings[key]
	if !ok || !given {
		return false, r.unset(o, false), false
	}
	b, _ := s.value.(bool)
	return b != negated, fmt.Sprintf("%s: %s = %t", s.at, r.called(o), b), true
}

// path is the value of an option that is a path. To NRI an empty path is as good as none:
// the default holds.
func (r *runtime) path(o option) (value, at string) {
	key, _, _ := r.key(o)
	s, given := r.settings[key]
	value, _ = s.value.(string)
	switch fallback := r.defaults[o]; {
	case value != "":
		return value, fmt.Sprintf("%s: %s = %q", s.at, r.called(o), value)
	case given && fallback != "":
		return fallback, fmt.Sprintf("%s: %s = \"\", which leaves the default, %s", s.at, r.called(o), fallback)
	default:
		return fallback, r.unset(o, fallback)
	}
}

// list is the value of an option that is a list.
func (r *runtime) list(o option) (values []string, at string) {
	key, _, _ := r.key(o)
	s, given := r.settings[key]
	if !given {
		return nil, r.unset(o, "[]")
	}
	values = stringsOf(s.value)
	return values, fmt.Sprintf("%s: %s = %q", s.at, r.called(o), values)
}

// unset says that an option is not given, and where one would have expected it.
func (r *runtime) unset(o option, fallback any) string {
	where := r.dialect.config
	if len(r.files) > 0 {
		where = r.files[0]
	}
	return fmt.Sprintf("%s: %s is not set, the default is %v", where, r.called(o), quoted(fallback))
}

func quoted(v any) any {
	if s, ok := v.(string); ok && s != "[]" {
		return fmt.Sprintf("%q", s)
	}
	return v
}

// idle says whether the runtime never asks NRI although it is on: containerd does so
// for CRI only.
func (r *runtime) idle() (bool, string) {
	for _, name := range r.disabled {
		if name == "cri" || name == "io.containerd.grpc.v1.cri" || name == "io.containerd.cri.v1.runtime" {
			return true, fmt.Sprintf("%s: disabled_plugins has %q", r.settings["disabled_plugins"].at, name)
		}
	}
	return false, ""
}

// socket is where NRI listens, "" where it does not.
func (r *runtime) socket() (value, at string) {
	if off, at, _ := r.boolOf(noConnection); off {
		return "", at
	}
	return r.path(socketPath)
}
