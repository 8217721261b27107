// Package reviewtest builds reviews for tests, by hand and at random, without the
// border: what a border builds is a subset of them.
package reviewtest

import (
	"math"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
)

// Rich returns a review with a change of every field, of every operation on one,
// of two containers, with two of one key, and with what is hard to write down.
func Rich() *engine.Review {
	injector := engine.Plugin{Name: "injector", Index: "10", Identity: &engine.Identity{
		PID: 4711, Exe: "/opt/nri/plugins/10-injector", SHA256: "00ff", Cgroup: "/system.slice/x.service", Unit: "x.service"}}
	tuner := engine.Plugin{Name: "tuner", Index: "20"}
	r := &engine.Review{
		Version:   engine.Version,
		Operation: engine.CreateContainer,
		Runtime:   engine.Runtime{Name: "containerd", Version: "v2.2.0"},
		Plugins:   []engine.Plugin{injector, tuner},
		Pod:       pod(),
		Container: container(),
	}
	for _, c := range richChanges() {
		c.Container = r.Container.Id
		c.Pod = r.Pod
		c.Plugin, c.Owners = injector, []engine.Plugin{injector}
		r.Changes = append(r.Changes, &c)
	}
	other := &engine.Change{ID: "resource:unified.memory.high@other", Op: engine.Add, Field: engine.Resource,
		Key: "unified.memory.high", Value: "max", Container: "other", Owners: []engine.Plugin{injector, tuner}}
	at := len(r.Changes)
	for i, c := range r.Changes {
		if c.Field == engine.POSIXRlimit {
			at = i
			break
		}
	}
	r.Changes = append(r.Changes[:at:at], append([]*engine.Change{other}, r.Changes[at:]...)...)
	return r
}

func pod() *api.PodSandbox {
	return &api.PodSandbox{
		Id: "pod0", Name: "web-0", Uid: "u-1", Namespace: "shop",
		Labels:      map[string]string{"app": "web", "tier": "front"},
		Annotations: map[string]string{"devices.nri.io/container.c0": "- path: /dev/null\n"},
		Ips:         []string{"10.0.0.7"},
		Linux: &api.LinuxPodSandbox{
			CgroupParent: "/kubepods/pod0",
			PodOverhead:  &api.LinuxResources{Memory: &api.LinuxMemory{Limit: api.Int64(0)}},
			Namespaces:   []*api.LinuxNamespace{{Type: "network", Path: "/var/run/netns/x"}, nil},
		},
	}
}

func container() *api.Container {
	return &api.Container{
		Id: "c0", PodSandboxId: "pod0", Name: "web", State: api.ContainerState_CONTAINER_CREATED,
		Annotations: map[string]string{"keep": "this", "drop": "that", "both": "x"},
		Args:        []string{"/bin/web", "--config", "a & <b>\u2028"},
		Env:         []string{"PATH=/bin", "TOKEN=geheim", "NOVALUE"},
		Mounts: []*api.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/data/", Type: "bind", Source: "/srv/data", Options: []string{"rbind", "rw"}},
		},
		Hooks:     &api.Hooks{Prestart: []*api.Hook{{Path: "/hook", Env: []string{"TOKEN=x"}, Timeout: api.Int(3)}}},
		Rlimits:   []*api.POSIXRlimit{{Type: "RLIMIT_NOFILE", Hard: math.MaxUint64, Soft: 1024}},
		CreatedAt: math.MaxInt64,
		ExitCode:  -1,
		User:      &api.User{Uid: 1000, AdditionalGids: []uint32{10, 20}},
		Linux: &api.LinuxContainer{
			Devices:     []*api.LinuxDevice{{Path: "/dev/null", Type: "c", Major: 1, Minor: 3, FileMode: api.FileMode(uint32(0o666))}},
			OomScoreAdj: api.Int(-5),
			Resources: &api.LinuxResources{
				Cpu:     &api.LinuxCPU{Shares: api.UInt64(1024), Cpus: "0-3"},
				Unified: map[string]string{"memory.low": "0"},
			},
			Sysctl:     map[string]string{"net/ipv4/ip_forward": "0"},
			NetDevices: map[string]*api.LinuxNetDevice{"eth1": {Name: "net0"}, "eth2": nil},
			Scheduler:  &api.LinuxScheduler{Policy: api.LinuxSchedulerPolicy_SCHED_FIFO, Flags: []api.LinuxSchedulerFlag{1, 99}},
		},
	}
}

// richChanges are in the order of the document.
func richChanges() []engine.Change {
	return []engine.Change{
		{ID: "annotation:both", Op: engine.Replace, Field: engine.Annotation, Key: "both", Value: "\"one\"\t\\", Old: "x"},
		{ID: "annotation:both#2", Op: engine.Remove, Field: engine.Annotation, Key: "both", Old: "x", Position: 1},
		{ID: "annotation:drop", Op: engine.Remove, Field: engine.Annotation, Key: "drop", Old: "that"},
		{ID: "args", Op: engine.Replace, Field: engine.Args, Value: []string{"/bin/sh"}, Old: []string{"/bin/web"}},
		{ID: "cdiDevice:nvidia.com/gpu=0", Op: engine.Add, Field: engine.CDI, Key: "nvidia.com/gpu=0",
			Value: &engine.CDIDevice{Vendor: "nvidia.com", Class: "gpu", Name: "0"}},
		{ID: "cgroupsPath", Op: engine.Add, Field: engine.CgroupsPath, Value: "/x"},
		{ID: "device:/dev/kvm", Op: engine.Add, Field: engine.DeviceNode, Key: "/dev/kvm",
			Value: &engine.Device{Type: "c", Major: 10, Minor: 232, UID: new(uint32(0)), HostPaths: []string{"/dev/kvm"}}},
		{ID: "device:/dev/null", Op: engine.Remove, Field: engine.DeviceNode, Key: "/dev/null",
			Old: &engine.Device{Type: "c", Major: 1, Minor: 3, FileMode: new(uint32(0o666))}},
		{ID: "deviceRule", Op: engine.Add, Field: engine.DeviceCgroup, ImpliedBy: "/dev/kvm",
			Value: &engine.DeviceRule{Allow: true, Type: "c", Major: new(int64(10)), Minor: new(int64(232)), Access: "rwm"}},
		{ID: "deviceRule#2", Op: engine.Add, Field: engine.DeviceCgroup, Position: 1,
			Value: &engine.DeviceRule{Allow: true, Type: "b", Access: "r"}},
		{ID: "env:LD_PRELOAD", Op: engine.Add, Field: engine.Env, Key: "LD_PRELOAD", Value: "/tmp/evil.so"},
		{ID: "env:NOVALUE", Op: engine.Remove, Field: engine.Env, Key: "NOVALUE", Old: ""},
		{ID: "env:PATH", Op: engine.Replace, Field: engine.Env, Key: "PATH", Value: "/sbin", Old: "/bin"},
		{ID: "eviction:c0", Op: engine.Add, Field: engine.Eviction, Key: "c0", Value: "because"},
		{ID: "hook:createRuntime", Op: engine.Add, Field: engine.OCIHook, Key: "createRuntime",
			Value: &engine.Hook{Path: "/bin/hook", Args: []string{"hook", "x"}, Env: []string{"TOKEN=y"}, Timeout: 2}},
		{ID: "hook:createRuntime#2", Op: engine.Add, Field: engine.OCIHook, Key: "createRuntime", Position: 1,
			Value: &engine.Hook{Path: "/bin/hook2"}},
		{ID: "ioPriority", Op: engine.Add, Field: engine.IOPriority,
			Value: &api.LinuxIOPriority{Class: api.IOPrioClass_IOPRIO_CLASS_RT, Priority: 1}},
		{ID: "memoryPolicy", Op: engine.Add, Field: engine.MemoryPolicy,
			Value: &api.LinuxMemoryPolicy{Mode: api.MpolMode_MPOL_BIND, Nodes: "0"}},
		{ID: "mount:/data", Op: engine.Replace, Field: engine.MountPoint, Key: "/data",
			Value: &engine.Mount{Type: "bind", Source: "/srv/link", ResolvedSource: "/srv/real", Options: []string{"bind", "ro"},
				ReadOnly: true, RecursiveReadOnly: true},
			Old: &engine.Mount{Type: "bind", Source: "/srv/data", ResolvedSource: "/srv/data", Options: []string{"rbind", "rw"}, Recursive: true}},
		{ID: "mount:/proc", Op: engine.Remove, Field: engine.MountPoint, Key: "/proc", Old: &engine.Mount{Type: "proc", Source: "proc"}},
		{ID: "namespace:ipc", Op: engine.Add, Field: engine.Namespaces, Key: "ipc", Value: &engine.Namespace{}},
		{ID: "netDevice:eth1", Op: engine.Remove, Field: engine.NetDevice, Key: "eth1", Old: &api.LinuxNetDevice{Name: "net0"}},
		{ID: "oomScoreAdj", Op: engine.Replace, Field: engine.OOMScoreAdj, Value: int64(-1000), Old: int64(-5)},
		{ID: "rdt", Op: engine.Add, Field: engine.RDT,
			Value: &api.LinuxRdt{ClosId: api.String("gold"), Schemata: api.RepeatedString([]string{"L3:0=f"}), EnableMonitoring: api.Bool(false)}},
		{ID: "resource:cpu.shares", Op: engine.Replace, Field: engine.Resource, Key: "cpu.shares", Value: uint64(math.MaxUint64), Old: uint64(1024)},
		{ID: "resource:hugepages.2MB", Op: engine.Add, Field: engine.Resource, Key: "hugepages.2MB", Value: uint64(0)},
		{ID: "resource:memory.disableOomKiller", Op: engine.Add, Field: engine.Resource, Key: "memory.disableOomKiller", Value: true},
		{ID: "resource:memory.limit", Op: engine.Add, Field: engine.Resource, Key: "memory.limit", Value: int64(math.MinInt64)},
		{ID: "rlimit:RLIMIT_CORE", Op: engine.Add, Field: engine.POSIXRlimit, Key: "RLIMIT_CORE", Value: &engine.Rlimit{Hard: 9007199254740993, Soft: 1}},
		{ID: "scheduler", Op: engine.Add, Field: engine.Scheduler,
			Value: &api.LinuxScheduler{Policy: 42, Nice: -20, Flags: []api.LinuxSchedulerFlag{0}, Runtime: math.MaxUint64}},
		{ID: "seccomp", Op: engine.Add, Field: engine.Seccomp, Value: &api.LinuxSeccomp{
			DefaultAction: "SCMP_ACT_ERRNO", DefaultErrno: api.UInt32(uint32(1)),
			Syscalls: []*api.LinuxSyscall{{Names: []string{"bpf"}, Action: "SCMP_ACT_ALLOW", Args: []*api.LinuxSeccompArg{{Index: 1, Value: math.MaxUint64}}}}}},
		{ID: "sysctl:net.ipv4.ip_forward", Op: engine.Replace, Field: engine.Sysctl, Key: "net.ipv4.ip_forward", Value: "1", Old: "0"},
		{ID: "unknown:adjust.99", Op: engine.Add, Field: engine.Unknown, Key: "adjust.99", Value: int64(12)},
	}
}
