package docker_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"github.com/nri-guard/nri-guard/engine/nri/docker"
)

// plain is a container with little in it.
func plain() *container.InspectResponse {
	return &container.InspectResponse{
		ID: id, Name: "/plain", Path: "sh", Args: []string{"-c", "true"},
		Config:     &container.Config{Entrypoint: []string{"sh"}, Cmd: []string{"-c", "true"}, Env: []string{"A=1", "B=2", "A=3", "BARE"}},
		HostConfig: &container.HostConfig{},
	}
}

type (
	adjustment = api.ContainerAdjustment
	described  = container.InspectResponse
)

func linux(l *api.LinuxContainerAdjustment) *adjustment { return &adjustment{Linux: l} }

func resources(r *api.LinuxResources) *adjustment {
	return linux(&api.LinuxContainerAdjustment{Resources: r})
}

func cpu(c *api.LinuxCPU) *adjustment { return resources(&api.LinuxResources{Cpu: c}) }

func memory(limit int64) *adjustment {
	return resources(&api.LinuxResources{Memory: &api.LinuxMemory{Limit: api.Int64(limit)}})
}

func env(entries ...string) *adjustment {
	a := &adjustment{}
	for _, e := range entries {
		name, value, _ := strings.Cut(e, "=")
		a.Env = append(a.Env, &api.KeyValue{Key: name, Value: value})
	}
	return a
}

func mounts(list ...*api.Mount) *adjustment { return &adjustment{Mounts: list} }

func bind(target, source string, options ...string) *api.Mount {
	return &api.Mount{Destination: target, Type: "bind", Source: source, Options: options}
}

func tmpfs(target string, options ...string) *api.Mount {
	return &api.Mount{Destination: target, Type: "tmpfs", Source: "tmpfs", Options: options}
}

func namespaces(list ...*api.LinuxNamespace) *adjustment {
	return linux(&api.LinuxContainerAdjustment{Namespaces: list})
}

func null(path string) *api.LinuxDevice {
	return &api.LinuxDevice{Path: path, Type: "c", Major: 1, Minor: 3}
}

func devices(list ...*api.LinuxDevice) *adjustment {
	return linux(&api.LinuxContainerAdjustment{Devices: list})
}

func TestApply(t *testing.T) {
	for _, c := range []struct {
		name   string
		base   func() *described
		adjust *adjustment
		want   func(*described)
	}{
		{"nothing", rich, nil, func(*described) {}},
		{"an empty adjustment", rich, &adjustment{Hooks: &api.Hooks{}, Linux: &api.LinuxContainerAdjustment{
			Resources: &api.LinuxResources{Memory: &api.LinuxMemory{}, Cpu: &api.LinuxCPU{}}, Rdt: &api.LinuxRdt{}}}, func(*described) {}},
		{"args", plain, &adjustment{Args: []string{"/bin/x", "", "-y"}}, func(c *described) {
			c.Config.Entrypoint, c.Config.Cmd, c.Path, c.Args = []string{"/bin/x", "", "-y"}, nil, "/bin/x", []string{"", "-y"}
		}},

		{"a new variable", plain, env("C=x=y"), func(c *described) { c.Config.Env = append(c.Config.Env, "C=x=y") }},
		{"a variable replaced wherever it stands", plain, env("A=9"), func(c *described) { c.Config.Env = []string{"A=9", "B=2", "BARE"} }},
		{"a variable removed wherever it stands", plain, env("-A"), func(c *described) { c.Config.Env = []string{"B=2", "BARE"} }},
		{"a variable removed and set", plain, env("-A", "A=9"), func(c *described) { c.Config.Env = []string{"B=2", "BARE", "A=9"} }},
		{"a variable that was unset", plain, env("BARE=1"), func(c *described) { c.Config.Env[3] = "BARE=1" }},
		{"removal of a variable that is not there", plain, env("-C"), func(*described) {}},
		{"a name that begins like another", plain, env("-AB", "AA=1"), func(c *described) { c.Config.Env = append(c.Config.Env, "AA=1") }},
		{"removal of PATH does not bring Docker's", rich, env("-PATH"), func(c *described) { c.Config.Env[0] = "PATH" }},

		{"annotations", rich, &adjustment{Annotations: map[string]string{"-note": "", "new": "1", "-none": ""}}, func(c *described) {
			c.HostConfig.Annotations = map[string]string{"new": "1"}
		}},
		{"an annotation removed and set is set", rich, &adjustment{Annotations: map[string]string{"-note": "", "note": "2"}}, func(c *described) {
			c.HostConfig.Annotations["note"] = "2"
		}},
		{"sysctls in any spelling", rich, linux(&api.LinuxContainerAdjustment{Sysctl: map[string]string{
			"-net.ipv4.ip_forward": "", "net/ipv4/conf/eth0.1/forwarding": "1"}}), func(c *described) {
			c.HostConfig.Sysctls = map[string]string{"net.ipv4.conf.eth0/1.forwarding": "1"}
		}},
		{"a sysctl replaced in another spelling", rich, linux(&api.LinuxContainerAdjustment{Sysctl: map[string]string{
			"net.ipv4.ip_forward": "0", "-net.ipv4.ping_group_range": "", "net.ipv4.ping_group_range": "1 1"}}), func(c *described) {
			c.HostConfig.Sysctls = map[string]string{"net.ipv4.ip_forward": "0", "net.ipv4.ping_group_range": "1 1"}
		}},

		{"limits", rich, &adjustment{Rlimits: []*api.POSIXRlimit{
			{Type: "RLIMIT_NOFILE", Hard: 9, Soft: 8}, {Type: "RLIMIT_AS", Hard: 1<<64 - 1, Soft: 1<<64 - 2}}}, func(c *described) {
			c.HostConfig.Ulimits = []*container.Ulimit{{Name: "core", Soft: -1, Hard: -1}, {Name: "nofile", Soft: 8, Hard: 9}, {Name: "as", Soft: -2, Hard: -1}}
		}},
		{"CDI devices", rich, &adjustment{CDIDevices: []*api.CDIDevice{{Name: "vendor.com/gpu=0"}, {Name: "vendor.com/gpu=1"}, {Name: "vendor.com/gpu=1"}}},
			func(c *described) {
				c.HostConfig.DeviceRequests = append(c.HostConfig.DeviceRequests, container.DeviceRequest{Driver: "cdi", DeviceIDs: []string{"vendor.com/gpu=1"}})
			}},
		{"OOM score", rich, linux(&api.LinuxContainerAdjustment{OomScoreAdj: &api.OptionalInt{Value: -1000}}), func(c *described) { c.HostConfig.OomScoreAdj = -1000 }},
		{"cgroup directory", plain, linux(&api.LinuxContainerAdjustment{CgroupsPath: "/a/b/" + id}), func(c *described) { c.HostConfig.CgroupParent = "/a/b" }},
		{"cgroup slice", plain, linux(&api.LinuxContainerAdjustment{CgroupsPath: "a-b.slice:docker:" + id}), func(c *described) { c.HostConfig.CgroupParent = "a-b.slice" }},
		{"the cgroup that it has", func() *described { c := plain(); c.HostConfig.CgroupParent = "rel"; return c },
			linux(&api.LinuxContainerAdjustment{CgroupsPath: "rel/" + id}), func(*described) {}},
		{"namespaces", rich, namespaces(&api.LinuxNamespace{Type: "pid"}, &api.LinuxNamespace{Type: "-uts"}, &api.LinuxNamespace{Type: "-cgroup", Path: "/ignored"}),
			func(c *described) {
				c.HostConfig.PidMode, c.HostConfig.UTSMode, c.HostConfig.CgroupnsMode = "", "host", "host"
			}},
		{"the last word on a namespace", rich, namespaces(&api.LinuxNamespace{Type: "-cgroup"}, &api.LinuxNamespace{Type: "cgroup"},
			&api.LinuxNamespace{Type: "uts"}, &api.LinuxNamespace{Type: "-pid"}), func(*described) {}},

		{"CPU", plain, cpu(&api.LinuxCPU{Shares: api.UInt64(7), Period: api.UInt64(50000), Quota: api.Int64(-1), Cpus: "1", Mems: "0",
			RealtimePeriod: api.UInt64(11), RealtimeRuntime: api.Int64(10)}), func(c *described) {
			r := &c.HostConfig.Resources
			r.CPUShares, r.CPUPeriod, r.CPUQuota, r.CpusetCpus, r.CpusetMems, r.CPURealtimePeriod, r.CPURealtimeRuntime = 7, 50000, -1, "1", "0", 11, 10
		}},
		{"a CPU quota for CPUs counted in billionths", rich, cpu(&api.LinuxCPU{Quota: api.Int64(30000)}), func(c *described) {
			c.HostConfig.NanoCPUs, c.HostConfig.CPUPeriod, c.HostConfig.CPUQuota = 0, 100000, 30000
		}},
		{"a CPU period for CPUs counted in billionths", rich, cpu(&api.LinuxCPU{Period: api.UInt64(50000)}), func(c *described) {
			c.HostConfig.NanoCPUs, c.HostConfig.CPUPeriod, c.HostConfig.CPUQuota = 0, 50000, 150000
		}},
		{"CPU shares leave the rest alone", rich, cpu(&api.LinuxCPU{Shares: api.UInt64(0)}), func(c *described) { c.HostConfig.CPUShares = 0 }},
		{"a memory limit is one for swap too", rich, memory(8 << 20), func(c *described) { c.HostConfig.Memory, c.HostConfig.MemorySwap = 8<<20, 8<<20 }},
		{"no memory limit", rich, memory(-1), func(c *described) { c.HostConfig.Memory, c.HostConfig.MemorySwap = 0, -1 }},
		{"a memory limit of 0 is none given", rich, memory(0), func(*described) {}},
		{"processes", plain, resources(&api.LinuxResources{Pids: &api.LinuxPids{Limit: 5}}), func(c *described) { c.HostConfig.PidsLimit = new(int64(5)) }},
		{"a negative limit for processes is ignored by NRI's generator", rich, resources(&api.LinuxResources{Pids: &api.LinuxPids{Limit: -1}}), func(*described) {}},
		{"device rules", rich, resources(&api.LinuxResources{Devices: []*api.LinuxDeviceCgroup{
			{Allow: true, Type: "b", Major: api.Int64(8), Minor: api.Int64(0), Access: "rwm"}, {Allow: true, Access: "r"},
			{Allow: true, Type: "c", Major: api.Int64(195), Access: "rw"}}}), func(c *described) {
			c.HostConfig.DeviceCgroupRules = []string{"c 195:* rw", "b 8:0 rwm", "a *:* r"}
		}},

		{"a device under another name", plain, devices(null("/dev//guard/x/")), func(c *described) {
			c.HostConfig.Devices = []container.DeviceMapping{{PathOnHost: "/dev/null", PathInContainer: "/dev/guard/x", CgroupPermissions: "rw"}}
		}},
		{"a device replaced", rich, devices(&api.LinuxDevice{Path: "/dev/nothing", Type: "c", Major: 1, Minor: 5}), func(c *described) {
			c.HostConfig.Devices = []container.DeviceMapping{{PathOnHost: "/dev/zero", PathInContainer: "/dev/nothing", CgroupPermissions: "rw"}}
		}},
		{"a device removed", rich, devices(null("-/dev/nothing")), func(c *described) { c.HostConfig.Devices = []container.DeviceMapping{} }},
		{"removal of a device that is not there", plain, devices(null("-/dev/nothing")), func(*described) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, want := c.base(), c.base()
			c.want(want)
			if err := docker.Apply(got, c.adjust); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// mounted is a container with a mount in every place that Docker has for them, two
// of them at one target.
func mounted() *described {
	c := plain()
	c.Config.Volumes = map[string]struct{}{"/x": {}, "/keep": {}}
	c.HostConfig.Binds = []string{"/a:/x/:ro", "/k:/keep"}
	c.HostConfig.Mounts = []mount.Mount{{Type: mount.TypeBind, Source: "/b", Target: "/y//z/"}, {Type: mount.TypeVolume, Source: "v", Target: "/keep2"}}
	c.HostConfig.Tmpfs = map[string]string{"/t/./": "", "/keep3": "exec"}
	return c
}

func TestApplyMounts(t *testing.T) {
	for _, c := range []struct {
		name   string
		adjust *adjustment
		want   func(h *container.HostConfig, c *container.Config)
	}{
		{"removed from volumes and binds", mounts(&api.Mount{Destination: "-/x"}), func(h *container.HostConfig, c *container.Config) {
			h.Binds, c.Volumes = []string{"/k:/keep"}, map[string]struct{}{"/keep": {}}
		}},
		{"removed from mounts", mounts(&api.Mount{Destination: "-/y/z"}), func(h *container.HostConfig, _ *container.Config) { h.Mounts = h.Mounts[1:] }},
		{"removed from tmpfs", mounts(&api.Mount{Destination: "-/t"}), func(h *container.HostConfig, _ *container.Config) { delete(h.Tmpfs, "/t/./") }},
		{"removal of what is not there", mounts(&api.Mount{Destination: "-/nowhere"}), func(*container.HostConfig, *container.Config) {}},
		{"a tmpfs takes a bind's place", mounts(tmpfs("/x/", "size=1m", "noexec", "size=2m")), func(h *container.HostConfig, c *container.Config) {
			h.Binds, c.Volumes = []string{"/k:/keep"}, map[string]struct{}{"/keep": {}}
			h.Tmpfs["/x"] = "suid,dev,noexec,size=2m"
		}},
		{"a bind takes a tmpfs' place", mounts(bind("/t", "/srv//t/", "rbind", "rw", "ro", "slave")), func(h *container.HostConfig, _ *container.Config) {
			delete(h.Tmpfs, "/t/./")
			h.Mounts = append(h.Mounts, mount.Mount{Type: "bind", Source: "/srv/t", Target: "/t", ReadOnly: true,
				BindOptions: &mount.BindOptions{Propagation: "slave", ReadOnlyNonRecursive: true}})
		}},
		{"without rbind it is not recursive", mounts(bind("/n", "/srv")), func(h *container.HostConfig, _ *container.Config) {
			h.Mounts = append(h.Mounts, mount.Mount{Type: "bind", Source: "/srv", Target: "/n", BindOptions: &mount.BindOptions{NonRecursive: true}})
		}},
		{"rro stays whatever comes after, rw wins over ro", mounts(
			bind("/n", "/srv", "rro", "rbind", "bind", "rw"), bind("/m", "/srv", "bind", "ro", "rw", "rshared", "private", "rprivate")),
			func(h *container.HostConfig, _ *container.Config) {
				h.Mounts = append(h.Mounts,
					mount.Mount{Type: "bind", Source: "/srv", Target: "/n", ReadOnly: true, BindOptions: &mount.BindOptions{ReadOnlyForceRecursive: true}},
					mount.Mount{Type: "bind", Source: "/srv", Target: "/m", BindOptions: &mount.BindOptions{NonRecursive: true, Propagation: "rprivate"}})
			}},
		{"options make it a bind", mounts(&api.Mount{Destination: "/n", Type: "none", Source: "/srv", Options: []string{"rbind"}}),
			func(h *container.HostConfig, _ *container.Config) {
				h.Mounts = append(h.Mounts, mount.Mount{Type: "bind", Source: "/srv", Target: "/n", BindOptions: &mount.BindOptions{}})
			}},
		{"the last of several for one target", mounts(bind("/n", "/a"), tmpfs("/n"), &api.Mount{Destination: "-/n"}, bind("/n", "/b", "rbind")),
			func(h *container.HostConfig, _ *container.Config) {
				h.Mounts = append(h.Mounts, mount.Mount{Type: "bind", Source: "/b", Target: "/n", BindOptions: &mount.BindOptions{}})
			}},
		{"a mount that is what it was", mounts(bind("/x", "/a", "rbind", "rprivate", "ro")), func(*container.HostConfig, *container.Config) {}},
		{"volume and image", mounts(
			&api.Mount{Destination: "/v", Type: "volume", Source: "data", Options: []string{"ro", "nocopy", "volume-subpath=a/b", "defaults"}},
			&api.Mount{Destination: "/anonymous", Type: "volume"},
			&api.Mount{Destination: "/i", Type: "image", Source: "tools:1", Options: []string{"rw", "ro", "image-subpath=bin"}}),
			func(h *container.HostConfig, _ *container.Config) {
				h.Mounts = append(h.Mounts,
					mount.Mount{Type: "volume", Source: "data", Target: "/v", ReadOnly: true, VolumeOptions: &mount.VolumeOptions{NoCopy: true, Subpath: "a/b"}},
					mount.Mount{Type: "volume", Target: "/anonymous"},
					mount.Mount{Type: "image", Source: "tools:1", Target: "/i", ReadOnly: true, ImageOptions: &mount.ImageOptions{Subpath: "bin"}})
			}},
		{"a file that Docker keeps up", mounts(bind("/etc/hosts", "/srv/hosts", "bind", "ro")), func(h *container.HostConfig, _ *container.Config) {
			h.Mounts = append(h.Mounts, mount.Mount{Type: "bind", Source: "/srv/hosts", Target: "/etc/hosts", ReadOnly: true,
				BindOptions: &mount.BindOptions{NonRecursive: true, ReadOnlyNonRecursive: true}})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, want := mounted(), mounted()
			c.want(want.HostConfig, want.Config)
			if err := docker.Apply(got, c.adjust); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	seccomp := linux(&api.LinuxContainerAdjustment{SeccompPolicy: &api.LinuxSeccomp{}})
	for _, c := range []struct {
		name   string
		base   func() *described
		adjust *adjustment
		want   []string
	}{
		{"everything at once, sorted", plain, &adjustment{
			Hooks: &api.Hooks{Poststop: []*api.Hook{{Path: "/b"}}, CreateRuntime: []*api.Hook{{Path: "/a"}, {Path: "/b"}}},
			Env:   []*api.KeyValue{{Key: "OK", Value: "1"}, {Key: "A=B", Value: "secret"}},
			Linux: &api.LinuxContainerAdjustment{
				IoPriority: &api.LinuxIOPriority{}, Scheduler: &api.LinuxScheduler{}, MemoryPolicy: &api.LinuxMemoryPolicy{},
				NetDevices: map[string]*api.LinuxNetDevice{"eth0": {}}, Rdt: &api.LinuxRdt{Remove: true},
				Resources: &api.LinuxResources{Unified: map[string]string{"memory.high": "1"}, HugepageLimits: []*api.HugepageLimit{{}},
					BlockioClass: api.String(""), RdtClass: api.String("gold"),
					Memory: &api.LinuxMemory{Limit: api.Int64(8 << 20), Swap: api.Int64(0), Swappiness: api.UInt64(1)}},
			},
		}, []string{
			"env[A=B]: no name of a variable", "hooks.createRuntime", "hooks.poststop", "linux.ioPriority", "linux.memoryPolicy",
			"linux.netDevices", "linux.rdt.remove", "linux.resources.blockioClass", "linux.resources.hugepageLimits",
			"linux.resources.memory.swap", "linux.resources.memory.swappiness", "linux.resources.rdtClass",
			"linux.resources.unified", "linux.scheduler",
		}},
		{"seccomp", plain, seccomp, []string{"linux.seccompPolicy"}},
		{"args without a program", plain, &adjustment{Args: []string{"", "x"}}, []string{"args: the program has no name"}},
		{"NUL", plain, &adjustment{Args: []string{"sh", "a\x00b"}, Env: []*api.KeyValue{{Key: "S", Value: "secret\x00"}}}, []string{
			"args: holds a NUL byte or is no UTF-8", "env.value: holds a NUL byte or is no UTF-8"}},
		{"no UTF-8", plain, &adjustment{Annotations: map[string]string{"a": "\xff"}}, []string{"annotations: holds a NUL byte or is no UTF-8"}},

		{"variables", plain, env("=1", "-=x", "X=1", "X=2", "Y=1", "-Y"), []string{
			"env[X]: the variable is set and then set or removed again", "env[Y]: the variable is set and then set or removed again", "env[]: no name of a variable"}},
		{"Docker's own variables", plain, env("-PATH", "-HOSTNAME", "-TERM"), []string{"env[HOSTNAME]: Docker sets it by itself", "env[PATH]: Docker sets it by itself"}},
		{"TERM with a terminal", func() *described { c := plain(); c.Config.Tty = true; return c }, env("-TERM"), []string{"env[TERM]: Docker sets it by itself"}},
		{"empty entries", plain, &adjustment{Env: []*api.KeyValue{nil}, Mounts: []*api.Mount{nil}, Rlimits: []*api.POSIXRlimit{nil},
			CDIDevices: []*api.CDIDevice{nil}, Linux: &api.LinuxContainerAdjustment{Devices: []*api.LinuxDevice{nil}, Namespaces: []*api.LinuxNamespace{nil},
				Resources: &api.LinuxResources{Devices: []*api.LinuxDeviceCgroup{nil}}}}, []string{
			"CDIDevices: an entry is empty", "CDIDevices[]: no name of the form VENDOR/CLASS=NAME",
			"env: an entry is empty", "env[]: no name of a variable",
			"linux.devices: an entry is empty", "linux.devices[]: no plain absolute path",
			"linux.namespaces: an entry is empty", "linux.namespaces[]",
			"linux.resources.devices: an entry is empty", "linux.resources.devices[a *:* ]: a rule that denies",
			"mounts: an entry is empty", "mounts[]: the target is no plain absolute path below the root directory",
			"rlimits: an entry is empty", "rlimits[]: no limit of Linux"}},
		{"names", plain, &adjustment{Annotations: map[string]string{"": "x", "-": ""}, CDIDevices: []*api.CDIDevice{{Name: "-v/c=1"}, {Name: "v/c"}},
			Linux: &api.LinuxContainerAdjustment{Sysctl: map[string]string{"": "1", "a..b": "1", "a.b": "1", "a/b": "2", "-kernel.domainname": "", "-net/x": ""}}}, []string{
			"CDIDevices[-v/c=1]: no name of the form VENDOR/CLASS=NAME", "CDIDevices[v/c]: no name of the form VENDOR/CLASS=NAME",
			"annotations: an annotation has no name", "linux.sysctl[-net/x]: the name must read net.x",
			"linux.sysctl[]: no name of a kernel parameter", "linux.sysctl[a..b]: no name of a kernel parameter",
			"linux.sysctl[a.b]: given in two spellings", "linux.sysctl[kernel.domainname]: Docker sets it by itself"}},
		{"limits", plain, &adjustment{Rlimits: []*api.POSIXRlimit{{Type: "RLIMIT_nofile"}, {Type: "NOFILE"}, {Type: "RLIMIT_CORE", Soft: 2, Hard: 1},
			{Type: "RLIMIT_CPU"}, {Type: "RLIMIT_CPU"}, {Type: "RLIMIT_RLIMIT_AS"}}}, []string{
			"rlimits[NOFILE]: no limit of Linux", "rlimits[RLIMIT_CORE]: the soft limit is above the hard one", "rlimits[RLIMIT_CPU]: given twice",
			"rlimits[RLIMIT_RLIMIT_AS]: no limit of Linux", "rlimits[RLIMIT_nofile]: no limit of Linux"}},
		{"OOM score", plain, linux(&api.LinuxContainerAdjustment{OomScoreAdj: &api.OptionalInt{Value: 1001}}), []string{"linux.oomScoreAdj: 1001 is not between -1000 and 1000"}},
		{"namespaces", plain, namespaces(&api.LinuxNamespace{Type: "pid", Path: "/proc/1/ns/pid"}, &api.LinuxNamespace{Type: "network"}, &api.LinuxNamespace{Type: "-ipc"},
			&api.LinuxNamespace{Type: "user"}, &api.LinuxNamespace{Type: "odd"}), []string{
			"linux.namespaces[ipc]", "linux.namespaces[network]", "linux.namespaces[odd]", "linux.namespaces[pid]: a namespace by its path", "linux.namespaces[user]"}},
		{"resources", plain, resources(&api.LinuxResources{Pids: &api.LinuxPids{}, Memory: &api.LinuxMemory{Limit: api.Int64(-2)},
			Cpu: &api.LinuxCPU{Shares: api.UInt64(uint64(1) << 63), Period: api.UInt64(^uint64(0)), Quota: api.Int64(-2), RealtimeRuntime: api.Int64(-9)}}), []string{
			"linux.resources.cpu.period: 18446744073709551615 is too large", "linux.resources.cpu.quota: -2 is negative",
			"linux.resources.cpu.realtimeRuntime: -9 is negative", "linux.resources.cpu.shares: 9223372036854775808 is too large",
			"linux.resources.memory.limit: -2 is negative", "linux.resources.pids.limit: Docker takes 0 for no limit"}},
		{"device rules", plain, resources(&api.LinuxResources{Devices: []*api.LinuxDeviceCgroup{
			{Type: "c", Access: "rwm"}, {Allow: true, Type: "c", Major: api.Int64(-1), Access: "r"}, {Allow: true, Type: "u", Access: "r"}, {Allow: true, Type: "a"}}}), []string{
			"linux.resources.devices[a *:* ]: a rule reads TYPE MAJOR:MINOR ACCESS", "linux.resources.devices[c *:* rwm]: a rule that denies",
			"linux.resources.devices[c -1:* r]: a rule reads TYPE MAJOR:MINOR ACCESS", "linux.resources.devices[u *:* r]: a rule reads TYPE MAJOR:MINOR ACCESS"}},
		{"devices", plain, devices(null("dev/x"), null("/dev/../x"), null("/"), null("-/dev/x/"), &api.LinuxDevice{Path: "/dev/y", Type: "c", Major: 4095, Minor: 4095},
			&api.LinuxDevice{Path: "/dev/null", Type: "b", Major: 1, Minor: 3}, &api.LinuxDevice{Path: "/dev/z", Type: "c", Major: 1, Minor: 3, Uid: api.UInt32(uint32(77))}), []string{
			"linux.devices[-/dev/x/]: the path must read /dev/x", "linux.devices[/]: no plain absolute path",
			"linux.devices[/dev/../x]: no plain absolute path",
			`linux.devices[/dev/null]: no node below /dev is a device of type "b" and number 1:3`,
			`linux.devices[/dev/y]: no node below /dev is a device of type "c" and number 4095:4095`,
			"linux.devices[/dev/z]: another owner than the one of /dev/null, 0:0", "linux.devices[dev/x]: no plain absolute path"}},
		{"a device's mode", plain, devices(&api.LinuxDevice{Path: "/dev/null", Type: "c", Major: 1, Minor: 3, FileMode: &api.OptionalFileMode{Value: 0o101}}), []string{
			"linux.devices[/dev/null]: mode 0101, as /dev/null has 0666"}},
		{"a device of a privileged container", func() *described { c := plain(); c.HostConfig.Privileged = true; return c }, devices(null("-/dev/null")),
			[]string{"linux.devices[-/dev/null]: a privileged container has every device"}},
		{"a device in a directory that is mapped", func() *described {
			c := plain()
			c.HostConfig.Devices = []container.DeviceMapping{{PathOnHost: "/dev", PathInContainer: "/host/"}}
			return c
		}, devices(null("-/host/null")), []string{"linux.devices[/host/null]: mapped as a part of /host/"}},
		{"cgroups", plain, linux(&api.LinuxContainerAdjustment{CgroupsPath: "/a/../" + id}), []string{
			`linux.cgroupsPath: "/a/../` + id + `" is neither PARENT/` + id + ` nor NAME.slice:docker:` + id}},
		{"another container's cgroup", plain, linux(&api.LinuxContainerAdjustment{CgroupsPath: "/a/other"}), []string{
			`linux.cgroupsPath: "/a/other" is neither PARENT/` + id + ` nor NAME.slice:docker:` + id}},
		{"no slice", plain, linux(&api.LinuxContainerAdjustment{CgroupsPath: "/a:docker:" + id}), []string{
			`linux.cgroupsPath: "/a:docker:` + id + `" is neither PARENT/` + id + ` nor NAME.slice:docker:` + id}},
		{"no unclean path", plain, linux(&api.LinuxContainerAdjustment{CgroupsPath: "/a//" + id}), []string{
			`linux.cgroupsPath: "/a//` + id + `" is neither PARENT/` + id + ` nor NAME.slice:docker:` + id}},

		{"targets", plain, mounts(tmpfs("a"), tmpfs(""), tmpfs("-"), tmpfs("/"), tmpfs("/a/../b"), tmpfs(`/\`), tmpfs("-/a/"), tmpfs("-/dev/shm"), tmpfs("/dev"), tmpfs("/etc/hosts"),
			bind("/etc/hostname", "/x", "rshared")), []string{
			"mounts[-/a/]: the target must read /a", "mounts[-/dev/shm]: Docker mounts it by itself",
			"mounts[/\\]: the target is no plain absolute path below the root directory",
			"mounts[/]: the target is no plain absolute path below the root directory",
			"mounts[/a/../b]: the target is no plain absolute path below the root directory", "mounts[/dev]: Docker would leave out what belongs below it",
			"mounts[/etc/hostname]: Docker takes only a file of the host there, without propagation", "mounts[/etc/hosts]: Docker takes only a file of the host there, without propagation",
			"mounts[]: the target is no plain absolute path below the root directory", "mounts[a]: the target is no plain absolute path below the root directory"}},
		{"types", plain, mounts(&api.Mount{Destination: "/a", Type: "proc", Source: "proc"}, &api.Mount{Destination: "/b", Type: "overlay"}, &api.Mount{Destination: "/c"},
			&api.Mount{Destination: "/d", Type: "npipe"}, &api.Mount{Destination: "/e", Type: "cluster"}, &api.Mount{Destination: "/f", Type: "none"}), []string{
			`mounts[/a]: type "proc"`, `mounts[/b]: type "overlay"`, `mounts[/c]: type ""`, `mounts[/d]: type "npipe"`, `mounts[/e]: type "cluster"`, `mounts[/f]: type "none"`}},
		{"binds", plain, mounts(bind("/a", "rel"), bind("/b", ""), bind("/c", "/x/../etc"), bind("/d", "/x", "nosuid", "ro,rbind", "relabel", "rrw", "readonly"),
			bind("/e", "/x", "rshared", "private"), bind("/f", "/x", "unbindable")), []string{
			`mounts[/a]: source "rel"`, `mounts[/b]: source ""`, `mounts[/c]: source "/x/../etc"`,
			`mounts[/d]: option "nosuid"`, `mounts[/d]: option "readonly"`, `mounts[/d]: option "relabel"`, `mounts[/d]: option "ro,rbind"`, `mounts[/d]: option "rrw"`,
			`mounts[/e]: contradictory options rshared and "private"`, `mounts[/f]: option "unbindable"`}},
		{"tmpfs", plain, mounts(tmpfs("/a", "bind"), tmpfs("/b", "size=1m,ro"), tmpfs("/c", "huge=always"), tmpfs("/d", "size="), tmpfs("/e", "remount", "rslave", "slave"),
			&api.Mount{Destination: "/f", Type: "tmpfs", Source: "/etc"}), []string{
			`mounts[/a]: option "bind"`, `mounts[/b]: option "size=1m,ro"`, `mounts[/c]: option "huge=always"`, `mounts[/d]: option "size="`,
			`mounts[/e]: contradictory options rslave and "slave"`, `mounts[/e]: option "remount"`, `mounts[/f]: source "/etc"`}},
		{"volumes and images", plain, mounts(
			&api.Mount{Destination: "/a", Type: "volume", Source: "/etc"}, &api.Mount{Destination: "/b", Type: "volume", Options: []string{"volume-subpath=x"}},
			&api.Mount{Destination: "/c", Type: "volume", Source: "vol", Options: []string{"volume-subpath=../x", "volume-opt=device=/etc", "rbind"}},
			&api.Mount{Destination: "/d", Type: "image", Source: "i"}, &api.Mount{Destination: "/e", Type: "image", Options: []string{"ro", "image-subpath=/x"}}), []string{
			`mounts[/a]: name of a volume "/etc"`, `mounts[/b]: option "volume-subpath=x"`, `mounts[/c]: option "rbind"`, `mounts[/c]: option "volume-opt=device=/etc"`,
			`mounts[/c]: option "volume-subpath=../x"`, "mounts[/d]: images are mounted read-only", `mounts[/e]: name of an image ""`, `mounts[/e]: option "image-subpath=/x"`}},
		{"other containers' volumes", func() *described { c := plain(); c.HostConfig.VolumesFrom = []string{"other"}; return c }, mounts(tmpfs("-/a")), []string{
			"mounts[-/a]: other containers' volumes (VolumesFrom) cannot be told apart"}},
		{"a bind that cannot be read", func() *described { c := plain(); c.HostConfig.Binds = []string{"x"}; return c }, mounts(tmpfs("/a")), []string{
			`mounts[/a]: HostConfig.Binds: "x" does not read SOURCE:TARGET[:OPTIONS] with an absolute target`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.base()
			err := docker.Apply(got, c.adjust)
			var unsupported *docker.Unsupported
			if !errors.As(err, &unsupported) {
				t.Fatalf("error %v is no *Unsupported", err)
			}
			if diff := cmp.Diff(c.want, unsupported.What); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error has the value of a variable: %v", err)
			}
			if diff := cmp.Diff(c.base(), got); diff != "" {
				t.Errorf("the container changed:\n%s", diff)
			}
		})
	}
}

func TestApplyNeedsSettings(t *testing.T) {
	for _, c := range []*described{nil, {}, {Config: &container.Config{}}, {HostConfig: &container.HostConfig{}}} {
		err := docker.Apply(c, &adjustment{})
		if err == nil || !strings.Contains(err.Error(), "Config and HostConfig") {
			t.Errorf("error %v does not say what is missing", err)
		}
	}
}

// TestApplySharesNothing changes what an adjustment and the lists of the settings
// referred to, after the fact.
func TestApplySharesNothing(t *testing.T) {
	c := rich()
	before := *c.Config
	beforeHost := *c.HostConfig
	a := &adjustment{
		Args: []string{"x", "y"}, Env: env("A=9", "-EMPTY").Env, Annotations: map[string]string{"note": "y"},
		Mounts: []*api.Mount{tmpfs("/run"), {Destination: "-/cache"}}, Rlimits: []*api.POSIXRlimit{{Type: "RLIMIT_CORE"}},
		CDIDevices: []*api.CDIDevice{{Name: "v/c=1"}},
		Linux: &api.LinuxContainerAdjustment{Devices: []*api.LinuxDevice{null("-/dev/nothing")}, Sysctl: map[string]string{"a.b": "1"},
			Resources: &api.LinuxResources{Devices: []*api.LinuxDeviceCgroup{{Allow: true, Access: "r"}}, Pids: &api.LinuxPids{Limit: 1}}},
	}
	if err := docker.Apply(c, a); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rich().Config, &before); diff != "" {
		t.Errorf("what Config referred to changed:\n%s", diff)
	}
	if diff := cmp.Diff(rich().HostConfig, &beforeHost); diff != "" {
		t.Errorf("what HostConfig referred to changed:\n%s", diff)
	}
	a.Args[0], a.Args[1] = "evil", "evil"
	if got := append(c.Config.Entrypoint, c.Args...); strings.Join(got, " ") != "x y y" {
		t.Errorf("arguments %q are the adjustment's own", got)
	}
}
