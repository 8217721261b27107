package nri

import (
	"maps"
	"slices"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
)

// Maps of NRI's are changed by name; a leading dash marks a removal. The generator
// goes through such a map in Go's random order, so that where a name is both set
// and removed either can win: both outcomes are recorded.

func (x *builder) annotations(m, old map[string]string) {
	adjustMap(x, engine.Annotation, api.Field_Annotations, m, old, asWritten)
}

func (x *builder) sysctl(m, old map[string]string) {
	adjustMap(x, engine.Sysctl, api.Field_Sysctl, m, old, sysctlName)
}

// adjustMap compares names to the letter, as the generator does; the change is
// about the name that takes effect, which several spellings may come to.
func adjustMap(x *builder, field engine.Field, owner api.Field, m, old map[string]string, effective func(string) string) {
	if len(m) == 0 {
		return
	}
	names := make(map[string]*spellings, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		raw, marked := api.IsMarkedForRemoval(k)
		name := effective(raw)
		n := names[name]
		if n == nil {
			n = &spellings{}
			names[name] = n
		}
		if marked {
			n.removed = append(n.removed, raw)
		} else {
			n.set = append(n.set, raw)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(old)) {
		if n := names[effective(k)]; n != nil {
			n.had = append(n.had, k)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		x.spelled(field, owner, name, names[name], m, old)
	}
}

// spellings are the ways in which a map writes one name.
type spellings struct{ set, removed, had []string }

// spelled records the outcomes for one name.
func (x *builder) spelled(field engine.Field, owner api.Field, name string, n *spellings, m, old map[string]string) {
	var before any
	if len(n.had) > 0 {
		before = old[n.had[len(n.had)-1]]
	}
	changed := false
	for _, raw := range n.set {
		if v, had := old[raw]; had && v == m[raw] {
			continue
		}
		changed = true
		x.diff(field, name, before, m[raw], compound(owner, raw))
	}
	removed := func(raw string) bool { return slices.Contains(n.removed, raw) }
	kept := func(raw string) bool { return !removed(raw) }
	vanishes := !slices.ContainsFunc(n.set, kept) && !slices.ContainsFunc(n.had, kept)
	if slices.ContainsFunc(n.had, removed) && (vanishes || !changed) {
		x.diff(field, name, before, nil, compound(owner, n.removed[0]))
	}
}

// netDevices are set by messages and removed by names without one.
func (x *builder) netDevices(m, old map[string]*api.LinuxNetDevice) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		name, marked := api.IsMarkedForRemoval(k)
		var before, after any
		had, ok := old[name]
		if ok {
			before = had
		}
		if !marked {
			if m[k] == nil {
				x.malformed("network device %q is set to nothing", name)
			}
			if ok && had.GetName() == m[k].GetName() {
				continue
			}
			after = m[k]
		}
		x.diff(engine.NetDevice, name, before, after, compound(api.Field_LinuxNetDevices, name))
	}
}

func asWritten(s string) string { return s }

// namespaces are gone through in order, so that the last word on a type wins. A
// type that the generator does not know fails the creation.
func (x *builder) namespaces(list, old []*api.LinuxNamespace) {
	if len(list) == 0 {
		return
	}
	before := make(map[string]any, len(old))
	for _, n := range old {
		before[n.GetType()] = &engine.Namespace{Path: n.GetPath()}
	}
	after := maps.Clone(before)
	var touched []string
	for _, n := range list {
		if n == nil {
			continue
		}
		kind, marked := n.IsMarkedForRemoval()
		if !slices.Contains(namespaceTypes, kind) {
			x.malformed("namespace type %q does not exist", kind)
		}
		if !slices.Contains(touched, kind) {
			touched = append(touched, kind)
		}
		delete(after, kind)
		if !marked {
			after[kind] = &engine.Namespace{Path: n.GetPath()}
		}
	}
	for _, kind := range touched {
		a, b := before[kind], after[kind]
		if a != nil && b != nil && *a.(*engine.Namespace) == *b.(*engine.Namespace) {
			continue
		}
		x.diff(engine.Namespaces, kind, a, b, compound(api.Field_Namespace, kind))
	}
}

// namespaceTypes are those of the OCI runtime specification.
var namespaceTypes = []string{"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"}
