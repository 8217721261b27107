package nri_test

import (
	"os"

	"github.com/containerd/nri/pkg/api"
)

// dice makes containers and adjustments out of bytes, so that a fuzzer can steer
// them. It rolls zeroes when the bytes have run out.
type dice struct{ bytes []byte }

func (d *dice) roll(n int) int {
	if len(d.bytes) == 0 || n <= 1 {
		return 0
	}
	b := d.bytes[0]
	d.bytes = d.bytes[1:]
	return int(b) % n
}

func (d *dice) yes() bool { return d.roll(2) == 1 }

func pick[T any](d *dice, list []T) T { return list[d.roll(len(list))] }

func some[T any](d *dice, most int, make func() T) []T {
	var out []T
	for range d.roll(most + 1) {
		out = append(out, make())
	}
	return out
}

// The vocabulary is small so that things collide, and odd so that they surprise.
var (
	names     = []string{"A", "B", "-A", "-B", "", "-", "--A", "A=B", "-A=B", "PATH", "LD_PRELOAD", "a.b/c", "-a.b/c", "X\x00Y", "é"}
	texts     = []string{"", "1", "2", "x=y", "-", "long value", "\n", "0", "-1"}
	places    = []string{"/a", "/a/", "/a/b", "//a", "a", "./a", "/a/../b", "/b", "-/a", "-/b", "-a", "", "-", "/", "/proc", "..", "-/a/"}
	sources   = []string{"", "/", "/tmp", "/tmp/", "relative", "/etc/../tmp", "/nowhere/else", "tmpfs"}
	options   = []string{"ro", "rw", "bind", "rbind", "rro", "rrw", "private", "rprivate", "rshared", "rslave", "shared", "RO", "ro,rw", "nosuid", "", "lowerdir=/a:/b", "size=1k", "remount"}
	kinds     = []string{"bind", "tmpfs", "overlay", "", "proc", "none"}
	devices   = []string{"/dev/a", "/dev/b", "-/dev/a", "/dev/../dev/a", "dev/a", "", "-", "/dev/null"}
	types     = []string{"c", "b", "u", "p", "", "a"}
	spaces    = []string{"pid", "network", "-pid", "-network", "user", "-user", "time", "mount", "uts", "ipc", "cgroup", "-", "", "nonsense"}
	sysctls   = []string{"net.ipv4.ip_forward", "net/ipv4/ip_forward", "-net.ipv4.ip_forward", "-net/ipv4/ip_forward", "kernel.shmmax", "net..ipv4.ip_forward", "net/ipv4/conf/eth0.1/forwarding", "", "-", ".", "a"}
	netNames  = []string{"eth0", "eth1", "-eth0", "-eth1", "", "-"}
	limitKind = []string{"RLIMIT_NOFILE", "RLIMIT_CORE", "nofile", ""}
	files     = []string{"memory.high", "A", "-A", "", "a/b"}
	sizes     = []string{"2MB", "1GB", "", "2mb"}
	access    = []string{"r", "rw", "rwm", "", "x"}
	numbers   = []int64{0, 1, -1, 2, 1 << 40, -(1 << 62), 100}
)

func (d *dice) number() int64 { return pick(d, numbers) }

func (d *dice) words() []string {
	return some(d, 3, func() string { return pick(d, texts) })
}

func (d *dice) stringMap(keys []string) map[string]string {
	m := map[string]string{}
	for range d.roll(4) {
		m[pick(d, keys)] = pick(d, texts)
	}
	return m
}

func (d *dice) mount() *api.Mount {
	return &api.Mount{Destination: pick(d, places), Source: pick(d, sources), Type: pick(d, kinds),
		Options: some(d, 3, func() string { return pick(d, options) })}
}

func (d *dice) device() *api.LinuxDevice {
	v := &api.LinuxDevice{Path: pick(d, devices), Type: pick(d, types), Major: d.number(), Minor: d.number()}
	if d.yes() {
		v.FileMode = api.FileMode(os.FileMode(d.roll(256)))
	}
	if d.yes() {
		v.Uid = api.UInt32(uint32(d.roll(3)))
	}
	return v
}

func (d *dice) rlimit() *api.POSIXRlimit {
	return &api.POSIXRlimit{Type: pick(d, limitKind), Hard: uint64(d.roll(3)), Soft: uint64(d.roll(3))}
}

func (d *dice) hook() *api.Hook {
	h := &api.Hook{Path: pick(d, places), Args: d.words(), Env: d.words()}
	if d.yes() {
		h.Timeout = api.Int(d.roll(5))
	}
	return h
}

func (d *dice) namespace() *api.LinuxNamespace {
	return &api.LinuxNamespace{Type: pick(d, spaces), Path: pick(d, []string{"", "/proc/1/ns/net", "-"})}
}

func (d *dice) netDevices() map[string]*api.LinuxNetDevice {
	m := map[string]*api.LinuxNetDevice{}
	for range d.roll(4) {
		v := &api.LinuxNetDevice{Name: pick(d, netNames)}
		if d.roll(4) == 0 {
			v = nil
		}
		m[pick(d, netNames)] = v
	}
	return m
}

func (d *dice) resources() *api.LinuxResources {
	r := &api.LinuxResources{Unified: d.stringMap(files)}
	if d.yes() {
		r.Cpu = &api.LinuxCPU{Cpus: pick(d, texts), Mems: pick(d, texts)}
		d.maybe(func() { r.Cpu.Shares = api.UInt64(uint64(d.roll(3))) })
		d.maybe(func() { r.Cpu.Quota = api.Int64(d.number()) })
		d.maybe(func() { r.Cpu.Period = api.UInt64(uint64(d.roll(3))) })
		d.maybe(func() { r.Cpu.RealtimeRuntime = api.Int64(d.number()) })
		d.maybe(func() { r.Cpu.RealtimePeriod = api.UInt64(uint64(d.roll(3))) })
	}
	if d.yes() {
		r.Memory = &api.LinuxMemory{}
		d.maybe(func() { r.Memory.Limit = api.Int64(d.number()) })
		d.maybe(func() { r.Memory.Swap = api.Int64(d.number()) })
		d.maybe(func() { r.Memory.Reservation = api.Int64(d.number()) })
		d.maybe(func() { r.Memory.Swappiness = api.UInt64(uint64(d.roll(3))) })
		d.maybe(func() { r.Memory.DisableOomKiller = api.Bool(d.yes()) })
	}
	r.HugepageLimits = some(d, 2, func() *api.HugepageLimit {
		return &api.HugepageLimit{PageSize: pick(d, sizes), Limit: uint64(d.roll(3))}
	})
	d.maybe(func() { r.Pids = &api.LinuxPids{Limit: d.number()} })
	r.Devices = some(d, 2, func() *api.LinuxDeviceCgroup {
		v := &api.LinuxDeviceCgroup{Allow: d.yes(), Type: pick(d, types), Access: pick(d, access)}
		d.maybe(func() { v.Major = api.Int64(d.number()) })
		d.maybe(func() { v.Minor = api.Int64(d.number()) })
		return v
	})
	return r
}

func (d *dice) maybe(do func()) {
	if d.yes() {
		do()
	}
}

func (d *dice) seccomp() *api.LinuxSeccomp {
	s := &api.LinuxSeccomp{DefaultAction: pick(d, []string{"SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW"}), Architectures: d.words(), Flags: d.words(),
		ListenerPath: pick(d, places)}
	d.maybe(func() { s.DefaultErrno = api.UInt32(uint32(d.roll(3))) })
	s.Syscalls = some(d, 2, func() *api.LinuxSyscall { return &api.LinuxSyscall{Names: d.words(), Action: "SCMP_ACT_ALLOW"} })
	return s
}

func (d *dice) ioPriority() *api.LinuxIOPriority {
	return &api.LinuxIOPriority{Class: api.IOPrioClass(d.roll(6)), Priority: int32(d.roll(8))}
}

func (d *dice) scheduler() *api.LinuxScheduler {
	return &api.LinuxScheduler{Policy: api.LinuxSchedulerPolicy(d.roll(10)), Nice: int32(d.roll(3)), Runtime: uint64(d.roll(3)),
		Flags: some(d, 2, func() api.LinuxSchedulerFlag { return api.LinuxSchedulerFlag(d.roll(9)) })}
}

func (d *dice) rdt() *api.LinuxRdt {
	r := &api.LinuxRdt{Remove: d.yes()}
	d.maybe(func() { r.ClosId = api.String(pick(d, texts)) })
	d.maybe(func() { r.Schemata = api.RepeatedString(d.words()) })
	d.maybe(func() { r.EnableMonitoring = api.Bool(d.yes()) })
	return r
}

// container rolls what a runtime could show: no markers, nothing twice.
func (d *dice) container() *api.Container {
	c := &api.Container{Id: "c1", PodSandboxId: "p1", Name: "c", Linux: &api.LinuxContainer{Resources: &api.LinuxResources{}}}
	l := c.Linux
	d.maybe(func() { c.Annotations = map[string]string{"A": pick(d, texts), "a.b/c": "1"} })
	d.maybe(func() { c.Env = []string{"PATH=/bin", "A=" + pick(d, texts)} })
	d.maybe(func() { c.Env = append(c.Env, pick(d, []string{"B", "=x", "A=2", "B=", "LD_PRELOAD=x"})) })
	d.maybe(func() { c.Args = []string{"sh", "-c", pick(d, texts)} })
	d.maybe(func() {
		c.Mounts = []*api.Mount{{Destination: "/a", Type: "bind", Source: "/tmp", Options: []string{"rbind", "ro"}}}
	})
	d.maybe(func() { c.Mounts = append(c.Mounts, &api.Mount{Destination: "/b", Type: "tmpfs", Source: "tmpfs"}) })
	d.maybe(func() { c.Rlimits = []*api.POSIXRlimit{{Type: "RLIMIT_NOFILE", Hard: 1, Soft: 1}} })
	d.maybe(func() { l.Devices = []*api.LinuxDevice{{Path: "/dev/a", Type: "c", Major: 1, Minor: 1}} })
	d.maybe(func() { l.Namespaces = []*api.LinuxNamespace{{Type: "pid"}, {Type: "network", Path: "/proc/1/ns/net"}} })
	d.maybe(func() { l.Sysctl = map[string]string{"net.ipv4.ip_forward": pick(d, texts)} })
	d.maybe(func() { l.NetDevices = map[string]*api.LinuxNetDevice{"eth0": {Name: "eth1"}} })
	d.maybe(func() { l.OomScoreAdj = api.Int(1) })
	d.maybe(func() { l.CgroupsPath = "/x" })
	d.maybe(func() { l.IoPriority = d.ioPriority() })
	d.maybe(func() { l.Scheduler = &api.LinuxScheduler{Policy: api.LinuxSchedulerPolicy(d.roll(8))} })
	d.maybe(func() { l.SeccompPolicy = d.seccomp() })
	d.maybe(func() {
		l.Rdt = &api.LinuxRdt{ClosId: api.String("1"), Schemata: api.RepeatedString([]string{"L3"}), EnableMonitoring: api.Bool(true)}
	})
	d.maybe(func() {
		l.Resources = &api.LinuxResources{
			Cpu:            &api.LinuxCPU{Shares: api.UInt64(uint64(1)), Cpus: "1"},
			Memory:         &api.LinuxMemory{Limit: api.Int64(int64(1)), Swap: api.Int64(int64(2))},
			HugepageLimits: []*api.HugepageLimit{{PageSize: "2MB", Limit: 1}},
			Unified:        map[string]string{"A": "1"},
			Pids:           &api.LinuxPids{Limit: 100},
		}
	})
	return c
}

// adjustment rolls what a plugin could ask for.
func (d *dice) adjustment() *api.ContainerAdjustment {
	a := &api.ContainerAdjustment{}
	d.maybe(func() { a.Annotations = d.stringMap(names) })
	d.maybe(func() {
		a.Env = some(d, 4, func() *api.KeyValue { return &api.KeyValue{Key: pick(d, names), Value: pick(d, texts)} })
	})
	d.maybe(func() { a.Mounts = some(d, 4, d.mount) })
	d.maybe(func() { a.Args = d.words() })
	d.maybe(func() { a.Rlimits = some(d, 3, d.rlimit) })
	d.maybe(func() {
		a.Hooks = &api.Hooks{Prestart: some(d, 2, d.hook), CreateRuntime: some(d, 1, d.hook), CreateContainer: some(d, 1, d.hook),
			StartContainer: some(d, 1, d.hook), Poststart: some(d, 1, d.hook), Poststop: some(d, 1, d.hook)}
	})
	d.maybe(func() { a.CDIDevices = []*api.CDIDevice{{Name: "v.com/c=d"}} })
	d.maybe(func() { a.Linux = d.linux() })
	return a
}

func (d *dice) linux() *api.LinuxContainerAdjustment {
	l := &api.LinuxContainerAdjustment{}
	d.maybe(func() { l.Devices = some(d, 3, d.device) })
	d.maybe(func() { l.Resources = d.resources() })
	d.maybe(func() { l.CgroupsPath = pick(d, []string{"", "/x", "/y", "-"}) })
	d.maybe(func() { l.OomScoreAdj = api.Int(int(pick(d, []int{0, 1, -5}))) })
	d.maybe(func() { l.IoPriority = d.ioPriority() })
	d.maybe(func() { l.Scheduler = d.scheduler() })
	d.maybe(func() { l.SeccompPolicy = d.seccomp() })
	d.maybe(func() { l.Namespaces = some(d, 3, d.namespace) })
	d.maybe(func() { l.Sysctl = d.stringMap(sysctls) })
	d.maybe(func() { l.NetDevices = d.netDevices() })
	d.maybe(func() { l.Rdt = d.rdt() })
	d.maybe(func() {
		l.MemoryPolicy = &api.LinuxMemoryPolicy{Mode: api.MpolMode(d.roll(8)), Nodes: pick(d, texts)}
	})
	return l
}
