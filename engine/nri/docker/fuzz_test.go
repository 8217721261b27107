package docker_test

import (
	"cmp"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/nri-guard/nri-guard/engine/nri/docker"
)

// source draws from a fuzzer's bytes; once they are used up everything is 0.
type source struct{ data []byte }

func (s *source) n(below int) int {
	if len(s.data) == 0 {
		return 0
	}
	b := int(s.data[0])
	s.data = s.data[1:]
	return b % below
}

func pick[T any](s *source, from ...T) T { return from[s.n(len(from))] }

func some[T any](s *source, most int, one func() T) []T {
	var list []T
	for range s.n(most + 1) {
		list = append(list, one())
	}
	return list
}

func table(s *source, keys ...string) map[string]string {
	m := map[string]string{}
	for range s.n(4) {
		m[pick(s, keys...)] = pick(s, "", "1", "2", "\x00")
	}
	return m
}

func (s *source) mount() *api.Mount {
	return &api.Mount{
		Destination: pick(s, "/new", "/new", "/new/", "/etc/app", "/cache", "/ro", "/run", "/var/data", "/etc/hosts", "/dev/shm", "/dev", "/", "", "rel", "/a/../b",
			"-/new", "-/etc/app", "-/cache", "-/ro", "-/run", "-/var/data", "-/scratch", "-/etc/app/", "-/etc/hosts", "-", "--/new"),
		Type:   pick(s, "bind", "bind", "bind", "tmpfs", "tmpfs", "volume", "image", "none", "", "proc", "overlay"),
		Source: pick(s, "/srv/app", "/srv/app/", "/", "tmpfs", "", "data", "../x", "/a/../b", "tools:1", "/etc\x00"),
		Options: some(s, 5, func() string {
			return pick(s, "ro", "rw", "bind", "rbind", "rro", "rprivate", "private", "rslave", "shared", "rshared", "noexec", "exec", "nosuid", "dev",
				"size=1m", "size=2m", "mode=755", "nocopy", "volume-subpath=x", "image-subpath=x", "defaults", "ro,rw", "z", "relabel", "rrw", "unbindable", "volume-opt=o=bind")
		}),
	}
}

func (s *source) number() int64 {
	return pick[int64](s, 0, 1, -1, -2, 5000, 1<<40, 1<<63-1, -1<<63)
}

func optional[T any](s *source, v T) (none T) {
	if s.n(3) != 1 {
		return none
	}
	return v
}

func (s *source) resources() *api.LinuxResources {
	r := &api.LinuxResources{
		Cpu: &api.LinuxCPU{
			Shares: optional(s, api.UInt64(uint64(s.number()))), Period: optional(s, api.UInt64(uint64(s.number()))),
			Quota: optional(s, api.Int64(s.number())), RealtimeRuntime: optional(s, api.Int64(s.number())),
			RealtimePeriod: optional(s, api.UInt64(uint64(s.number()))), Cpus: pick(s, "", "0-3"), Mems: pick(s, "", "1"),
		},
		Memory: &api.LinuxMemory{Limit: optional(s, api.Int64(s.number()))},
		Pids:   optional(s, &api.LinuxPids{Limit: s.number()}),
		Devices: some(s, 2, func() *api.LinuxDeviceCgroup {
			return &api.LinuxDeviceCgroup{Allow: s.n(5) > 0, Type: pick(s, "c", "b", "a", "", "x"), Major: optional(s, api.Int64(s.number())),
				Minor: optional(s, api.Int64(s.number())), Access: pick(s, "rw", "rwm", "", "x")}
		}),
	}
	if s.n(20) == 19 {
		r.Unified = table(s, "memory.high")
		r.Memory.Swap = optional(s, api.Int64(s.number()))
		r.BlockioClass = optional(s, api.String("gold"))
	}
	return r
}

func (s *source) adjustment() *api.ContainerAdjustment {
	a := &api.ContainerAdjustment{
		Annotations: table(s, "note", "-note", "new", "-new", "", "-"),
		Mounts:      some(s, 3, s.mount),
		Env: some(s, 3, func() *api.KeyValue {
			return &api.KeyValue{Key: pick(s, "A", "-A", "NEW", "-NEW", "PATH", "-PATH", "UNSET", "-UNSET", "EMPTY", "-HOSTNAME", "--A", "", "X=Y", "\x00"),
				Value: pick(s, "1", "", "a=b", "\xff")}
		}),
		Args: some(s, 2, func() string { return pick(s, "sh", "", "-c", "\x00") }),
		Rlimits: some(s, 2, func() *api.POSIXRlimit {
			return &api.POSIXRlimit{Type: pick(s, "RLIMIT_NOFILE", "RLIMIT_CORE", "RLIMIT_AS", "nofile", "RLIMIT_nofile", ""),
				Hard: uint64(s.number()), Soft: uint64(s.number())}
		}),
		CDIDevices: some(s, 2, func() *api.CDIDevice {
			return &api.CDIDevice{Name: pick(s, "vendor.com/gpu=0", "vendor.com/gpu=1", "-v/c=1", "gpu", "")}
		}),
		Linux: &api.LinuxContainerAdjustment{
			Devices: some(s, 2, func() *api.LinuxDevice {
				return &api.LinuxDevice{Path: pick(s, "/dev/null", "/dev/nothing", "-/dev/nothing", "-/dev/null", "/dev/nothing/", "x", "/"),
					Type: pick(s, "c", "b", ""), Major: 1, Minor: pick[int64](s, 3, 5, -1), Uid: optional(s, api.UInt32(uint32(0)))}
			}),
			CgroupsPath: pick(s, "", "/p/"+id, "p.slice:docker:"+id, "/machines/"+id, "/p", "p:docker:"+id, "../"+id),
			OomScoreAdj: optional(s, &api.OptionalInt{Value: s.number()}),
			Sysctl:      table(s, "net.ipv4.ip_forward", "net/ipv4/ip_forward", "-net.ipv4.ip_forward", "-net/ipv4/ip_forward", "a.b", "-kernel.domainname", "", "a..b"),
			Namespaces: some(s, 2, func() *api.LinuxNamespace {
				return &api.LinuxNamespace{Type: pick(s, "pid", "-pid", "uts", "-uts", "cgroup", "-cgroup", "ipc", "-network", ""), Path: pick(s, "", "", "", "/proc/1/ns/pid")}
			}),
		},
	}
	if s.n(2) == 1 {
		a.Linux.Resources = s.resources()
	}
	if s.n(30) == 29 {
		a.Hooks = &api.Hooks{Prestart: []*api.Hook{{Path: "/x"}}}
		a.Linux.SeccompPolicy = optional(s, &api.LinuxSeccomp{})
		a.Linux.Scheduler = optional(s, &api.LinuxScheduler{})
	}
	return a
}

// FuzzApply makes adjustments, odd ones too. None makes Apply panic; an error leaves
// the container as it was; otherwise the container that is shown afterwards is the
// one that was shown before, adjusted as NRI means it.
func FuzzApply(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x02\x01\x01\x01\x02\x03\x01\x01\x01\x01\x01"))
	for i := range 64 {
		seed := make([]byte, 160)
		for j := range seed {
			seed[j] = byte((i*131 + j*j*17 + j*i*7) >> 1)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		base := plain
		if len(data)%2 == 1 {
			base = rich
		}
		adjust := (&source{data}).adjustment()
		c := base()
		before := shown(t, c)
		if err := docker.Apply(c, adjust); err != nil {
			var unsupported *docker.Unsupported
			if !errors.As(err, &unsupported) || len(unsupported.What) == 0 || !slices.IsSorted(unsupported.What) {
				t.Errorf("error %v", err)
			}
			if diff := gocmp.Diff(base(), c); diff != "" {
				t.Errorf("the container changed in spite of an error:\n%s", diff)
			}
			return
		}
		want := expected(before, adjust)
		got := shown(t, c)
		normal(want)
		normal(got)
		if diff := gocmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("adjusted by %v:\n%s", adjust, diff)
		}
	})
}

func shown(t *testing.T, c *described) *api.Container {
	t.Helper()
	v, err := docker.Container(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// expected is what an adjustment that was accepted makes of a container.
func expected(c *api.Container, a *api.ContainerAdjustment) *api.Container {
	if len(a.Args) > 0 {
		c.Args = a.Args
	}
	c.Annotations = edited(c.Annotations, a.Annotations)
	c.Linux.Sysctl = edited(c.Linux.Sysctl, dotted(a.Linux.Sysctl))
	for _, e := range a.Env {
		name, marked := e.IsMarkedForRemoval()
		c.Env = replaced(c.Env, func(entry string) bool { return strings.HasPrefix(entry, name+"=") }, name+"="+e.Value, marked)
	}
	for _, m := range a.Mounts {
		target, marked := m.IsMarkedForRemoval()
		c.Mounts = replaced(c.Mounts, func(o *api.Mount) bool { return path.Clean(o.Destination) == path.Clean(target) }, m, marked)
	}
	for _, l := range a.Rlimits {
		c.Rlimits = replaced(c.Rlimits, func(o *api.POSIXRlimit) bool { return o.Type == l.Type }, l, false)
	}
	for _, d := range a.CDIDevices {
		c.CDIDevices = replaced(c.CDIDevices, func(o *api.CDIDevice) bool { return o.Name == d.Name }, d, false)
	}
	for _, d := range a.Linux.Devices {
		target, marked := d.IsMarkedForRemoval()
		c.Linux.Devices = replaced(c.Linux.Devices, func(o *api.LinuxDevice) bool { return path.Clean(o.Path) == path.Clean(target) }, d, marked)
	}
	for _, n := range a.Linux.Namespaces {
		kind, marked := n.IsMarkedForRemoval()
		c.Linux.Namespaces = replaced(c.Linux.Namespaces, func(o *api.LinuxNamespace) bool { return o.Type == kind }, &api.LinuxNamespace{Type: kind}, marked)
	}
	c.Linux.CgroupsPath = cmp.Or(a.Linux.CgroupsPath, c.Linux.CgroupsPath)
	if a.Linux.OomScoreAdj != nil {
		c.Linux.OomScoreAdj = a.Linux.OomScoreAdj
	}
	limited(c.Linux.Resources, a.Linux.GetResources())
	return c
}

func limited(r, a *api.LinuxResources) {
	number(&r.Cpu.Shares, a.GetCpu().GetShares())
	number(&r.Cpu.Period, a.GetCpu().GetPeriod())
	number(&r.Cpu.Quota, a.GetCpu().GetQuota())
	number(&r.Cpu.RealtimePeriod, a.GetCpu().GetRealtimePeriod())
	number(&r.Cpu.RealtimeRuntime, a.GetCpu().GetRealtimeRuntime())
	r.Cpu.Cpus, r.Cpu.Mems = cmp.Or(a.GetCpu().GetCpus(), r.Cpu.Cpus), cmp.Or(a.GetCpu().GetMems(), r.Cpu.Mems)
	switch limit := a.GetMemory().GetLimit(); {
	case limit.GetValue() > 0:
		r.Memory.Limit, r.Memory.Swap = limit, limit
	case limit.GetValue() < 0:
		r.Memory.Limit, r.Memory.Swap = nil, nil
	}
	if a.GetPids().GetLimit() > 0 {
		r.Pids = a.Pids
	}
	r.Devices = append(r.Devices, a.GetDevices()...)
}

// number takes a setting over; 0 is shown as none.
func number[T interface {
	comparable
	GetValue() N
}, N int64 | uint64](to *T, v T) {
	var none T
	if v == none {
		return
	}
	*to = v
	if v.GetValue() == 0 {
		*to = none
	}
}

func replaced[T any](list []T, same func(T) bool, v T, remove bool) []T {
	list = slices.DeleteFunc(slices.Clone(list), same)
	if remove {
		return list
	}
	return append(list, v)
}

func edited(m, changes map[string]string) map[string]string {
	out := maps.Clone(m)
	if out == nil {
		out = map[string]string{}
	}
	for k := range changes {
		delete(out, strings.TrimPrefix(k, "-"))
	}
	for k, v := range changes {
		if !strings.HasPrefix(k, "-") {
			out[k] = v
		}
	}
	return out
}

// dotted knows only the spellings that the fuzz test uses.
func dotted(m map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[strings.ReplaceAll(k, "/", ".")] = v
	}
	return out
}

// normal leaves of a container what is the same however it is spelt.
func normal(c *api.Container) {
	slices.Sort(c.Env)
	if len(c.Annotations) == 0 {
		c.Annotations = nil
	}
	if len(c.Linux.Sysctl) == 0 {
		c.Linux.Sysctl = nil
	}
	for i, m := range c.Mounts {
		c.Mounts[i] = meaning(m)
	}
	for _, d := range c.Linux.Devices {
		d.Path, d.FileMode, d.Uid, d.Gid = path.Clean(d.Path), nil, nil, nil
	}
	slices.SortFunc(c.Mounts, func(a, b *api.Mount) int { return strings.Compare(a.Destination, b.Destination) })
	slices.SortFunc(c.Rlimits, func(a, b *api.POSIXRlimit) int { return strings.Compare(a.Type, b.Type) })
	slices.SortFunc(c.CDIDevices, func(a, b *api.CDIDevice) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Linux.Devices, func(a, b *api.LinuxDevice) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(c.Linux.Namespaces, func(a, b *api.LinuxNamespace) int { return strings.Compare(a.Type, b.Type) })
	c.Linux.Resources.Devices = allowed(c.Linux.Resources.Devices)
}

// allowed leaves out rules that come and go with the devices that the fuzz test
// uses, and those given twice.
func allowed(rules []*api.LinuxDeviceCgroup) []*api.LinuxDeviceCgroup {
	var out []*api.LinuxDeviceCgroup
	for _, r := range rules {
		r.Type = cmp.Or(r.Type, "a")
		same := func(o *api.LinuxDeviceCgroup) bool { return gocmp.Equal(o, r, protocmp.Transform()) }
		ofDevice := r.Type == "c" && r.Major != nil && r.Major.Value == 1 && r.Minor != nil && (r.Minor.Value == 3 || r.Minor.Value == 5)
		if !ofDevice && !slices.ContainsFunc(out, same) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *api.LinuxDeviceCgroup) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// meaning reads a mount's options as the OCI runtime does.
func meaning(m *api.Mount) *api.Mount {
	out := &api.Mount{Destination: path.Clean(m.Destination), Type: m.Type, Source: m.Source}
	words := map[string]string{}
	for _, o := range m.Options {
		switch {
		case o == "bind":
			out.Type = o
		case o == "rbind":
			out.Type, words["recursive"] = "bind", o
		case o == "rro":
			words["ro"], words["below"] = "ro", o
		case o == "ro", o == "rw" && words["below"] == "":
			words["ro"] = o
		case o == "rw", o == "defaults":
		case strings.HasSuffix(o, "private"), strings.HasSuffix(o, "slave"), strings.HasSuffix(o, "shared"):
			words["propagation"] = o
		case strings.Contains(o, "="):
			name, _, _ := strings.Cut(o, "=")
			words[name] = o
		default:
			words[strings.TrimPrefix(o, "no")] = o
		}
	}
	for _, name := range []string{"exec", "suid", "dev"} {
		if words[name] == name {
			delete(words, name)
		}
	}
	if words["ro"] == "rw" {
		delete(words, "ro")
	}
	if out.Type == "bind" || out.Type == "tmpfs" {
		words["propagation"] = cmp.Or(words["propagation"], "rprivate")
	}
	if out.Type == "tmpfs" {
		out.Source = "tmpfs"
	} else if out.Source != "" && path.IsAbs(out.Source) {
		out.Source = path.Clean(out.Source)
	}
	out.Options = slices.Sorted(maps.Values(words))
	return out
}
