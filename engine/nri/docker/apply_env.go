package docker

import (
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"
)

// env changes the environment in the order that the adjustment gives. A name may be
// removed and then set; any other repetition means one thing to NRI's generator
// where the variable exists and another where it does not.
func (x *change) env(list []*api.KeyValue) {
	if len(list) == 0 {
		return
	}
	x.config.Env = slices.Clone(x.config.Env)
	set := map[string]bool{}
	for _, e := range list {
		name, marked := api.IsMarkedForRemoval(e.GetKey())
		switch {
		case name == "" || strings.Contains(name, "="):
			x.refuse("env[%s]: no name of a variable", name)
		case set[name]:
			x.refuse("env[%s]: the variable is set and then set or removed again", name)
		case marked:
			x.removeEnv(name)
		default:
			set[name] = true
			x.setEnv(name, name+"="+e.GetValue())
		}
	}
}

// setEnv puts an entry where the variable stood first, or at the end.
func (x *change) setEnv(name, entry string) {
	i := slices.IndexFunc(x.config.Env, isVariable(name))
	if i < 0 {
		x.config.Env = append(x.config.Env, entry)
		return
	}
	x.config.Env[i] = entry
	rest := slices.DeleteFunc(x.config.Env[i+1:], isVariable(name))
	x.config.Env = x.config.Env[:i+1+len(rest)]
}

// removeEnv leaves the bare name of a variable that Docker would otherwise give a
// value of its own; Docker then does not set it.
func (x *change) removeEnv(name string) {
	there := slices.ContainsFunc(x.config.Env, isVariable(name))
	switch {
	case !x.setsItself(name):
		x.config.Env = slices.DeleteFunc(x.config.Env, isVariable(name))
	case there:
		x.setEnv(name, name)
	default:
		x.refuse("env[%s]: Docker sets it by itself", name)
	}
}

// setsItself names the variables that Docker sets unless it is told otherwise.
func (x *change) setsItself(name string) bool {
	return name == "PATH" || name == "HOSTNAME" || name == "TERM" && x.config.Tty
}

// isVariable matches entries for a variable, with a value or without.
func isVariable(name string) func(string) bool {
	return func(entry string) bool { return entry == name || strings.HasPrefix(entry, name+"=") }
}
