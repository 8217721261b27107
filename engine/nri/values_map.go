package nri

import (
	"cmp"
	"maps"
	"slices"
	"strings"

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
	asked := make([]spelling, 0, len(m))
	for k := range m {
		raw, marked := api.IsMarkedForRemoval(k)
		asked = append(asked, spelling{name: effective(raw), raw: raw, marked: marked})
	}
	slices.SortFunc(asked, compareSpellings)
	var had []spelling
	for k := range old {
		s := spelling{name: effective(k), raw: k}
		if _, found := slices.BinarySearchFunc(asked, s.name, compareName); found {
			had = append(had, s)
		}
	}
	slices.SortFunc(had, compareSpellings)
	for len(asked) > 0 {
		name := asked[0].name
		n, h := alike(asked, name), alike(had, name)
		x.spelled(field, owner, asked[:n], had[:h], m, old)
		asked, had = asked[n:], had[h:]
	}
}

// spelling is one way in which a map writes a name.
type spelling struct {
	name, raw string
	marked    bool // for removal
}

func compareSpellings(a, b spelling) int {
	return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.raw, b.raw))
}

func compareName(s spelling, name string) int { return strings.Compare(s.name, name) }

// alike is how many spellings at the beginning of a list are of the name.
func alike(list []spelling, name string) int {
	if i := slices.IndexFunc(list, func(s spelling) bool { return s.name != name }); i >= 0 {
		return i
	}
	return len(list)
}

// spelled records the outcomes for one name.
func (x *builder) spelled(field engine.Field, owner api.Field, asked, had []spelling, m, old map[string]string) {
	var before any
	if len(had) > 0 {
		before = old[had[len(had)-1].raw]
	}
	changed := false
	for _, s := range asked {
		if v, ok := old[s.raw]; s.marked || ok && v == m[s.raw] {
			continue
		}
		changed = true
		x.diff(field, s.name, before, m[s.raw], compound(owner, s.raw))
	}
	first := slices.IndexFunc(asked, func(s spelling) bool { return s.marked })
	if first < 0 {
		return
	}
	removed := func(s spelling) bool {
		return slices.ContainsFunc(asked[first:], func(a spelling) bool { return a.marked && a.raw == s.raw })
	}
	kept := func(s spelling) bool { return !s.marked && !removed(s) }
	vanishes := !slices.ContainsFunc(asked, kept) && !slices.ContainsFunc(had, kept)
	if slices.ContainsFunc(had, removed) && (vanishes || !changed) {
		x.diff(field, asked[first].name, before, nil, compound(owner, asked[first].raw))
	}
}

// netDevices are set by messages and removed by names without one.
func (x *builder) netDevices(m, old map[string]*api.LinuxNetDevice) {
	if len(m) == 0 {
		return
	}
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
