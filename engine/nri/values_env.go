package nri

import (
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
)

// env records how the environment changes, variable by variable.
func (x *builder) env(adjust []*api.KeyValue, old []string) {
	if len(adjust) == 0 {
		return
	}
	x.checkEnv(adjust)
	before, after := byVariable(old), byVariable(generatedEnv(adjust, old))
	for _, name := range touched(before, after) {
		// Of several entries for one name, the C library finds the first.
		var value, was any
		if b := before[name]; len(b) > 0 {
			was = b[0].value
		}
		if a := after[name]; len(a) > 0 {
			value = a[0].value
		}
		x.diff(engine.Env, name, was, value, compound(api.Field_Env, name))
	}
}

// checkEnv finds what would reach the process as another variable than the one
// that was named, or as one that stands twice.
func (x *builder) checkEnv(adjust []*api.KeyValue) {
	seen := make(map[string]struct{}, len(adjust))
	for _, e := range adjust {
		name, marked := e.GetKey(), false
		if name != "" {
			name, marked = api.IsMarkedForRemoval(name)
		}
		if marked {
			continue
		}
		if name == "" {
			x.malformed("a variable without a name")
		}
		if strings.Contains(name, "=") {
			x.malformed("variable name %q holds an equals sign", name)
		}
		if _, ok := seen[name]; ok {
			x.malformed("variable %q is set twice", name)
		}
		seen[name] = struct{}{}
	}
}

// generatedEnv is the environment that NRI's generator makes of the old one.
func generatedEnv(adjust []*api.KeyValue, old []string) []string {
	wanted := make(map[string]*api.KeyValue, len(adjust))
	for _, e := range adjust {
		wanted[api.ClearRemovalMarker(e.GetKey())] = e
	}
	var out environment
	for _, entry := range old {
		name, value, ok := strings.Cut(entry, "=")
		if !ok {
			continue // the generator drops what is no variable
		}
		e, ok := wanted[name]
		if !ok {
			out.set(name, value)
			continue
		}
		delete(wanted, name)
		if !marked(e) {
			out.set(e.GetKey(), e.GetValue())
		}
	}
	for _, e := range adjust {
		if _, ok := wanted[e.GetKey()]; ok && !marked(e) {
			out.set(e.GetKey(), e.GetValue())
		}
	}
	return out
}

func marked(e *api.KeyValue) bool { return strings.HasPrefix(e.GetKey(), "-") }

// environment is a list of NAME=value in which no name stands twice.
type environment []string

func (e *environment) set(name, value string) {
	if name == "" {
		return
	}
	entry := name + "=" + value
	for i, old := range *e {
		if len(old) > len(name) && old[len(name)] == '=' && old[:len(name)] == name {
			(*e)[i] = entry
			return
		}
	}
	*e = append(*e, entry)
}

// variable is one entry of an environment; one without an equals sign has no value.
type variable struct{ entry, value string }

func byVariable(env []string) map[string][]variable {
	m := make(map[string][]variable, len(env))
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		m[name] = append(m[name], variable{entry, value})
	}
	return m
}

// touched lists the names whose entries differ, sorted.
func touched(before, after map[string][]variable) []string {
	var names []string
	for name, b := range before {
		if !slices.Equal(b, after[name]) {
			names = append(names, name)
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
