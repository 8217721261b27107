package nri

import (
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"
)

// merge does with one plugin's own reply what NRI's adaptation does before its
// generator sees it (pkg/adaptation, result.adjust): it interprets the markers of
// the plugins' grammar. The reply is left as it was. What NRI answers with an
// error (one thing set twice) is malformed.
func (x *builder) merge(a *api.ContainerAdjustment, shown, pristine *api.Container) *api.ContainerAdjustment {
	if a == nil {
		return nil
	}
	mounts, env := x.mergeMounts(a.GetMounts()), x.mergeEnv(a.GetEnv(), shown, pristine)
	devices := x.mergeDevices(a.GetLinux().GetDevices(), shown, pristine)
	twice(x, "rlimit", a.GetRlimits(), (*api.POSIXRlimit).GetType)
	twice(x, "CDI device", a.GetCDIDevices(), (*api.CDIDevice).GetName)
	twice(x, "hugepage limit", a.GetLinux().GetResources().GetHugepageLimits(), (*api.HugepageLimit).GetPageSize)
	twice(x, "namespace", a.GetLinux().GetNamespaces(), func(n *api.LinuxNamespace) string { return api.ClearRemovalMarker(n.GetType()) })
	replaced := len(a.GetArgs()) > 0 && a.GetArgs()[0] == ""
	r := a.GetLinux().GetRdt()
	anew := r.GetRemove() && (r.ClosId != nil || r.Schemata != nil || r.EnableMonitoring != nil)
	if !replaced && !anew && isList(mounts, a.GetMounts()) && isList(env, a.GetEnv()) && isList(devices, a.GetLinux().GetDevices()) {
		return a // both grammars say it in the same way
	}
	m := proto.CloneOf(a)
	m.Mounts, m.Env = mounts, env
	if replaced {
		m.Args = m.Args[1:]
	}
	if m.GetLinux() != nil {
		m.Linux.Devices = devices
	}
	if anew {
		m.Linux.Rdt.Remove = false
	}
	return m
}

// isList says whether two lists are one.
func isList[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// twice finds elements that NRI refuses because the plugin claims them twice.
func twice[T any](x *builder, what string, list []T, key func(T) string) {
	var sieve sieve
	if !slices.ContainsFunc(list, func(e T) bool { return sieve.doubtful(key(e)) }) {
		return
	}
	seen := make(map[string]struct{}, len(list))
	for _, e := range list {
		if _, ok := seen[key(e)]; ok {
			x.malformed("%s %q is set twice", what, key(e))
		}
		seen[key(e)] = struct{}{}
	}
}

// mergeMounts puts removals behind and drops those of a destination that is mounted
// anew.
func (x *builder) mergeMounts(list []*api.Mount) []*api.Mount {
	mark := func(m *api.Mount) bool { return strings.HasPrefix(m.GetDestination(), "-") }
	if !slices.ContainsFunc(list, mark) {
		twice(x, "mount", list, (*api.Mount).GetDestination)
		return list
	}
	added := make([]*api.Mount, 0, len(list))
	var removed []*api.Mount
	for _, m := range list {
		if mark(m) {
			removed = append(removed, m)
		} else {
			added = append(added, m)
		}
	}
	twice(x, "mount", added, (*api.Mount).GetDestination)
	for _, m := range removed {
		again := func(a *api.Mount) bool { return a.GetDestination() == m.GetDestination()[1:] }
		if !slices.ContainsFunc(added, again) {
			added = append(added, m)
		}
	}
	return added
}

// mergeEnv drops removals: NRI takes out what earlier plugins set, so that the
// orchestrator's value comes back, and nothing else.
func (x *builder) mergeEnv(list []*api.KeyValue, shown, pristine *api.Container) []*api.KeyValue {
	if !slices.ContainsFunc(list, marked) {
		twice(x, "variable", list, (*api.KeyValue).GetKey)
		return list
	}
	merged := slices.DeleteFunc(slices.Clone(list), marked)
	twice(x, "variable", merged, (*api.KeyValue).GetKey)
	set := make(map[string]struct{}, len(merged))
	for _, e := range merged {
		set[e.GetKey()] = struct{}{}
	}
	for _, e := range list {
		name := api.ClearRemovalMarker(e.GetKey())
		if _, ok := set[name]; ok || !marked(e) {
			continue
		}
		now, there := variableOf(shown, name)
		was, before := variableOf(pristine, name)
		switch {
		case before && now != was:
			merged = append(merged, &api.KeyValue{Key: name, Value: was})
		case there && !before:
			merged = append(merged, e)
		}
	}
	return merged
}

func variableOf(c *api.Container, name string) (value string, ok bool) {
	for _, entry := range c.GetEnv() {
		if n, v, _ := strings.Cut(entry, "="); n == name {
			return v, true
		}
	}
	return "", false
}

// mergeDevices drops removals, as mergeEnv does.
func (x *builder) mergeDevices(list []*api.LinuxDevice, shown, pristine *api.Container) []*api.LinuxDevice {
	mark := func(d *api.LinuxDevice) bool {
		_, marked := d.IsMarkedForRemoval()
		return marked
	}
	if !slices.ContainsFunc(list, mark) {
		twice(x, "device", list, (*api.LinuxDevice).GetPath)
		return list
	}
	merged := slices.DeleteFunc(slices.Clone(list), mark)
	twice(x, "device", merged, (*api.LinuxDevice).GetPath)
	added := len(merged)
	for _, d := range list {
		p, marked := d.IsMarkedForRemoval()
		if !marked || slices.ContainsFunc(merged[:added], func(a *api.LinuxDevice) bool { return a.GetPath() == p }) {
			continue
		}
		now, there := deviceOf(shown, p)
		was, before := deviceOf(pristine, p)
		switch {
		case before && !proto.Equal(now, was):
			merged = append(merged, was)
		case there && !before:
			merged = append(merged, d)
		}
	}
	return merged
}

func deviceOf(c *api.Container, path string) (*api.LinuxDevice, bool) {
	i := slices.IndexFunc(c.GetLinux().GetDevices(), func(d *api.LinuxDevice) bool { return d.GetPath() == path })
	if i < 0 {
		return nil, false
	}
	return c.GetLinux().GetDevices()[i], true
}
