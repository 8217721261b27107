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
	if tidy(adjust, old) {
		x.tidyEnv(adjust, old)
	} else {
		x.untidyEnv(adjust, old)
	}
}

// untidyEnv does to all of the environment what the generator does.
func (x *builder) untidyEnv(adjust []*api.KeyValue, old []string) {
	x.checkEnv(adjust)
	before, after := byName(old), byName(generatedEnv(adjust, old))
	for _, name := range touched(before, after) {
		// Of several entries for one name, the C library finds the first.
		var was, value any
		if b, ok := before.first[name]; ok {
			was = valueOf(b)
		}
		if a, ok := after.first[name]; ok {
			value = valueOf(a)
		}
		x.diff(engine.Env, name, was, value, compound(api.Field_Env, name))
	}
}

// tidy says that each variable has a name and stands once, in what is asked for and
// in what there was: then only those that are asked for change. It is false too where
// there are doubts.
func tidy(adjust []*api.KeyValue, old []string) bool {
	if len(adjust) > maxTidy {
		return false
	}
	var asked, had sieve
	for _, e := range adjust {
		name := api.ClearRemovalMarker(e.GetKey())
		if name == "" || strings.Contains(name, "=") || asked.doubtful(name) {
			return false
		}
	}
	for _, entry := range old {
		i := strings.IndexByte(entry, '=')
		if i <= 0 || had.doubtful(entry[:i]) {
			return false
		}
	}
	return true
}

// maxTidy bounds how many variables are looked for one by one.
const maxTidy = 64

// tidyEnv looks at the variables that are asked for, and at no others.
func (x *builder) tidyEnv(adjust []*api.KeyValue, old []string) {
	for _, e := range adjust {
		name, marked := api.IsMarkedForRemoval(e.GetKey())
		before, had := lookupEnv(old, name)
		var was, value any
		switch {
		case had && !marked && before == e.GetValue(), !had && marked:
			continue
		case had && marked:
			was = before
		case had:
			was, value = before, e.GetValue()
		default:
			value = e.GetValue()
		}
		x.diff(engine.Env, name, was, value, compound(api.Field_Env, name))
	}
}

func lookupEnv(env []string, name string) (value string, ok bool) {
	for _, entry := range env {
		if len(entry) > len(name) && entry[len(name)] == '=' && entry[:len(name)] == name {
			return entry[len(name)+1:], true
		}
	}
	return "", false
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
		if before, _, ok := strings.Cut(name, "="); ok {
			x.malformed("the name of a variable, %q and more, holds an equals sign", before)
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
	out := environment{at: make(map[string]int, len(old)+len(adjust))}
	for _, entry := range old {
		name, _, ok := strings.Cut(entry, "=")
		if !ok {
			continue // the generator drops what is no variable
		}
		e, ok := wanted[name]
		if !ok {
			out.set(name, entry)
			continue
		}
		delete(wanted, name)
		if !marked(e) {
			out.set(name, e.ToOCI())
		}
	}
	for _, e := range adjust {
		if _, ok := wanted[e.GetKey()]; ok && !marked(e) {
			out.set(e.GetKey(), e.ToOCI())
		}
	}
	return out.entries
}

func marked(e *api.KeyValue) bool { return strings.HasPrefix(e.GetKey(), "-") }

// environment is a list of NAME=value in which no name stands twice.
type environment struct {
	entries []string
	at      map[string]int
}

func (e *environment) set(name, entry string) {
	if name == "" {
		return
	}
	if i, ok := e.at[name]; ok {
		e.entries[i] = entry
		return
	}
	e.at[name] = len(e.entries)
	e.entries = append(e.entries, entry)
}

// variables are the entries of an environment by name; more holds those of names
// that stand several times.
type variables struct {
	first map[string]string
	more  map[string][]string
}

func byName(env []string) variables {
	v := variables{first: make(map[string]string, len(env))}
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		if _, ok := v.first[name]; !ok {
			v.first[name] = entry
			continue
		}
		if v.more == nil {
			v.more = map[string][]string{}
		}
		v.more[name] = append(v.more[name], entry)
	}
	return v
}

func valueOf(entry string) string {
	_, value, _ := strings.Cut(entry, "=")
	return value
}

// touched lists the names whose entries differ, sorted.
func touched(before, after variables) []string {
	var names []string
	for name, b := range before.first {
		if a, ok := after.first[name]; !ok || a != b || !slices.Equal(before.more[name], after.more[name]) {
			names = append(names, name)
		}
	}
	for name := range after.first {
		if _, ok := before.first[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
