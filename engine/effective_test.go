package engine_test

import (
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/internal/reviewtest"
)

func TestEffective(t *testing.T) {
	before := func() *api.Container {
		return &api.Container{
			Id:          "c0",
			Annotations: map[string]string{"a": "1"},
			Env:         []string{"A=1", "B=2", "A=3"},
			Args:        []string{"x"},
			Mounts:      []*api.Mount{{Destination: "/data/", Source: "/old"}, {Destination: "/z"}},
			Rlimits:     []*api.POSIXRlimit{{Type: "RLIMIT_CORE", Soft: 1}},
			CDIDevices:  []*api.CDIDevice{{Name: "v/c=0"}},
			Linux: &api.LinuxContainer{
				Devices:     []*api.LinuxDevice{{Path: "dev/x", Major: 1}},
				Namespaces:  []*api.LinuxNamespace{{Type: "pid", Path: "/p"}},
				OomScoreAdj: api.Int(3),
				Sysctl:      map[string]string{"net/a": "0"},
				NetDevices:  map[string]*api.LinuxNetDevice{"eth0": {Name: "n"}},
				Resources: &api.LinuxResources{
					Cpu: &api.LinuxCPU{Shares: api.UInt64(2)}, Unified: map[string]string{"u.x": "1"},
					Pids: &api.LinuxPids{Limit: 5}, RdtClass: api.String("r"),
				},
			},
		}
	}
	add, replace, remove := engine.Add, engine.Replace, engine.Remove
	for _, tt := range []struct {
		field engine.Field
		op    engine.Op
		key   string
		value any
		want  func(c *api.Container)
	}{
		{engine.Annotation, add, "b", "2", func(c *api.Container) { c.Annotations["b"] = "2" }},
		{engine.Annotation, remove, "a", nil, func(c *api.Container) { c.Annotations = nil }},
		{engine.Args, replace, "", []string{"y", "z"}, func(c *api.Container) { c.Args = []string{"y", "z"} }},
		{engine.Args, remove, "", nil, func(c *api.Container) { c.Args = nil }},
		{engine.CDI, add, "v/c=1", &engine.CDIDevice{}, func(c *api.Container) { c.CDIDevices = append(c.CDIDevices, &api.CDIDevice{Name: "v/c=1"}) }},
		{engine.CgroupsPath, add, "", "/x", func(c *api.Container) { c.Linux.CgroupsPath = "/x" }},
		{engine.DeviceNode, replace, "/dev/x", &engine.Device{Type: "c", Major: 2, FileMode: new(uint32(6)), UID: new(uint32(7)), GID: new(uint32(8))},
			func(c *api.Container) {
				c.Linux.Devices[0] = &api.LinuxDevice{Path: "/dev/x", Type: "c", Major: 2, FileMode: api.FileMode(uint32(6)), Uid: api.UInt32(uint32(7)), Gid: api.UInt32(uint32(8))}
			}},
		{engine.DeviceNode, remove, "/dev/x", nil, func(c *api.Container) { c.Linux.Devices = nil }},
		{engine.DeviceCgroup, add, "", &engine.DeviceRule{Allow: true, Type: "c", Major: new(int64(1)), Access: "r"}, func(c *api.Container) {
			c.Linux.Resources.Devices = []*api.LinuxDeviceCgroup{{Allow: true, Type: "c", Major: api.Int64(1), Access: "r"}}
		}},
		{engine.Env, replace, "A", "9", func(c *api.Container) { c.Env = []string{"A=9", "B=2"} }},
		{engine.Env, remove, "A", nil, func(c *api.Container) { c.Env = []string{"B=2"} }},
		{engine.Env, add, "C", "", func(c *api.Container) { c.Env = append(c.Env, "C=") }},
		{engine.Eviction, add, "c0", "why", func(*api.Container) {}},
		{engine.OCIHook, add, "poststop", &engine.Hook{Path: "/h", Args: []string{"h"}, Timeout: 2}, func(c *api.Container) {
			c.Hooks = &api.Hooks{Poststop: []*api.Hook{{Path: "/h", Args: []string{"h"}, Timeout: api.Int(2)}}}
		}},
		{engine.OCIHook, add, "never", &engine.Hook{Path: "/h"}, func(c *api.Container) { c.Hooks = &api.Hooks{} }},
		{engine.IOPriority, add, "", &api.LinuxIOPriority{Priority: 4}, func(c *api.Container) { c.Linux.IoPriority = &api.LinuxIOPriority{Priority: 4} }},
		{engine.MemoryPolicy, add, "", &api.LinuxMemoryPolicy{Nodes: "0"}, func(*api.Container) {}},
		{engine.MountPoint, replace, "/data", &engine.Mount{Type: "bind", Source: "/new", Options: []string{"ro"}}, func(c *api.Container) {
			c.Mounts[0] = &api.Mount{Destination: "/data", Type: "bind", Source: "/new", Options: []string{"ro"}}
		}},
		{engine.MountPoint, remove, "/data", nil, func(c *api.Container) { c.Mounts = c.Mounts[1:] }},
		{engine.Namespaces, replace, "pid", &engine.Namespace{}, func(c *api.Container) { c.Linux.Namespaces[0].Path = "" }},
		{engine.Namespaces, remove, "pid", nil, func(c *api.Container) { c.Linux.Namespaces = nil }},
		{engine.NetDevice, remove, "eth0", nil, func(c *api.Container) { c.Linux.NetDevices = nil }},
		{engine.NetDevice, add, "eth1", &api.LinuxNetDevice{Name: "x"}, func(c *api.Container) { c.Linux.NetDevices["eth1"] = &api.LinuxNetDevice{Name: "x"} }},
		{engine.OOMScoreAdj, replace, "", int64(-9), func(c *api.Container) { c.Linux.OomScoreAdj = api.Int(-9) }},
		{engine.OOMScoreAdj, remove, "", nil, func(c *api.Container) { c.Linux.OomScoreAdj = nil }},
		{engine.RDT, add, "", &api.LinuxRdt{ClosId: api.String("c")}, func(c *api.Container) { c.Linux.Rdt = &api.LinuxRdt{ClosId: api.String("c")} }},
		{engine.Resource, replace, "cpu.shares", uint64(7), func(c *api.Container) { c.Linux.Resources.Cpu.Shares = api.UInt64(7) }},
		{engine.Resource, replace, "cpu.shares", int64(7), func(c *api.Container) { c.Linux.Resources.Cpu.Shares = api.UInt64(7) }},
		{engine.Resource, remove, "cpu.shares", nil, func(c *api.Container) { c.Linux.Resources.Cpu.Shares = nil }},
		{engine.Resource, add, "cpu.quota", int64(-1), func(c *api.Container) { c.Linux.Resources.Cpu.Quota = api.Int64(-1) }},
		{engine.Resource, add, "cpu.period", uint64(1), func(c *api.Container) { c.Linux.Resources.Cpu.Period = api.UInt64(1) }},
		{engine.Resource, add, "cpu.realtimeRuntime", int64(1), func(c *api.Container) { c.Linux.Resources.Cpu.RealtimeRuntime = api.Int64(1) }},
		{engine.Resource, add, "cpu.realtimePeriod", uint64(1), func(c *api.Container) { c.Linux.Resources.Cpu.RealtimePeriod = api.UInt64(1) }},
		{engine.Resource, add, "cpu.cpus", "0-1", func(c *api.Container) { c.Linux.Resources.Cpu.Cpus = "0-1" }},
		{engine.Resource, add, "cpu.mems", "0", func(c *api.Container) { c.Linux.Resources.Cpu.Mems = "0" }},
		{engine.Resource, add, "memory.limit", int64(4), func(c *api.Container) { c.Linux.Resources.Memory = &api.LinuxMemory{Limit: api.Int64(4)} }},
		{engine.Resource, add, "memory.reservation", int64(4), func(c *api.Container) { c.Linux.Resources.Memory = &api.LinuxMemory{Reservation: api.Int64(4)} }},
		{engine.Resource, add, "memory.swap", uint64(4), func(c *api.Container) { c.Linux.Resources.Memory = &api.LinuxMemory{Swap: api.Int64(4)} }},
		{engine.Resource, add, "memory.kernel", int64(4), func(c *api.Container) { c.Linux.Resources.Memory = &api.LinuxMemory{Kernel: api.Int64(4)} }},
		{engine.Resource, add, "memory.kernelTcp", int64(4), func(c *api.Container) { c.Linux.Resources.Memory = &api.LinuxMemory{KernelTcp: api.Int64(4)} }},
		{engine.Resource, add, "memory.swappiness", uint64(4), func(c *api.Container) { c.Linux.Resources.Memory = &api.LinuxMemory{Swappiness: api.UInt64(4)} }},
		{engine.Resource, add, "memory.disableOomKiller", true, func(c *api.Container) {
			c.Linux.Resources.Memory = &api.LinuxMemory{DisableOomKiller: api.Bool(true)}
		}},
		{engine.Resource, add, "memory.useHierarchy", true, func(c *api.Container) { c.Linux.Resources.Memory = &api.LinuxMemory{UseHierarchy: api.Bool(true)} }},
		{engine.Resource, add, "hugepages.2MB", uint64(4), func(c *api.Container) {
			c.Linux.Resources.HugepageLimits = []*api.HugepageLimit{{PageSize: "2MB", Limit: 4}}
		}},
		{engine.Resource, add, "unified.memory.high", "max", func(c *api.Container) { c.Linux.Resources.Unified["memory.high"] = "max" }},
		{engine.Resource, remove, "unified.u.x", nil, func(c *api.Container) { c.Linux.Resources.Unified = nil }},
		{engine.Resource, replace, "pids.limit", int64(9), func(c *api.Container) { c.Linux.Resources.Pids.Limit = 9 }},
		{engine.Resource, remove, "pids.limit", nil, func(c *api.Container) { c.Linux.Resources.Pids = nil }},
		{engine.Resource, add, "blockioClass", "b", func(c *api.Container) { c.Linux.Resources.BlockioClass = api.String("b") }},
		{engine.Resource, remove, "rdtClass", nil, func(c *api.Container) { c.Linux.Resources.RdtClass = nil }},
		{engine.POSIXRlimit, add, "RLIMIT_CORE", &engine.Rlimit{Hard: 3, Soft: 2}, func(c *api.Container) {
			c.Rlimits[0] = &api.POSIXRlimit{Type: "RLIMIT_CORE", Hard: 3, Soft: 2}
		}},
		{engine.Scheduler, add, "", &api.LinuxScheduler{Nice: 1}, func(c *api.Container) { c.Linux.Scheduler = &api.LinuxScheduler{Nice: 1} }},
		{engine.Seccomp, add, "", &api.LinuxSeccomp{DefaultAction: "x"}, func(c *api.Container) { c.Linux.SeccompPolicy = &api.LinuxSeccomp{DefaultAction: "x"} }},
		{engine.Sysctl, replace, "net.a", "1", func(c *api.Container) { c.Linux.Sysctl = map[string]string{"net.a": "1"} }},
		{engine.Unknown, add, "adjust.99", int64(1), func(*api.Container) {}},
	} {
		change := &engine.Change{Field: tt.field, Op: tt.op, Key: tt.key, Value: tt.value, Container: "c0"}
		r := &engine.Review{Container: before(), Changes: []*engine.Change{change}}
		want := before()
		tt.want(want)
		if got := engine.Effective(r); !proto.Equal(got, want) {
			t.Errorf("%v:\n got %v\nwant %v", change, prototext.Format(got), prototext.Format(want))
		}
		if !proto.Equal(r.Container, before()) {
			t.Errorf("%v changed the container under review", change)
		}
		change.Container = "c1"
		if got := engine.Effective(r); !proto.Equal(got, before()) {
			t.Errorf("%v of another container changed this one to %v", change, got)
		}
	}
}

func TestEffectiveOfEveryField(t *testing.T) {
	r := reviewtest.Rich()
	got := engine.Effective(r)
	for _, want := range []string{"PATH=/sbin", "LD_PRELOAD=/tmp/evil.so"} {
		if !strings.Contains(strings.Join(got.GetEnv(), " "), want) {
			t.Errorf("environment %v lacks %s", got.GetEnv(), want)
		}
	}
	if _, ok := got.GetAnnotations()["both"]; ok {
		t.Error("of two changes of one key the last does not win")
	}
	if got := engine.Effective(&engine.Review{Changes: r.Changes}); got == nil {
		t.Error("nothing for a review without a container")
	}
	empty := &engine.Review{Changes: []*engine.Change{{Field: engine.DeviceNode, Op: engine.Add, Key: "/dev/x", Value: &engine.Device{}}}}
	if got := engine.Effective(empty); len(got.GetLinux().GetDevices()) != 1 {
		t.Errorf("got %v of a device for a container that says nothing of Linux", got)
	}
}
