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

func adjustMap(x *builder, field engine.Field, owner api.Field, m, old map[string]string, effective func(string) string) {
	if len(m) == 0 {
		return
	}
	before := make(map[string]any, len(old))
	for k, v := range old {
		before[effective(k)] = v
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		raw, marked := api.IsMarkedForRemoval(k)
		name := effective(raw)
		switch {
		case marked:
			x.diff(field, name, before[name], nil, compound(owner, raw))
		case before[name] != m[k]:
			x.diff(field, name, before[name], m[k], compound(owner, raw))
		}
	}
}

// netDevices without a message set nothing.
func (x *builder) netDevices(m, old map[string]*api.LinuxNetDevice) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		name, marked := api.IsMarkedForRemoval(k)
		var before, after any
		had, ok := old[name]
		if ok {
			before = had
		}
		if !marked {
			if m[k] == nil || ok && had.GetName() == m[k].GetName() {
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
