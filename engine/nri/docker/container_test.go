package docker_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/nri-guard/nri-guard/engine/nri/docker"
)

const id = "4f1c0ffee4f1c0ffee4f1c0ffee4f1c0ffee4f1c0ffee4f1c0ffee4f1c0ffee1"

// rich is a container that uses what there is. Each call makes it anew.
func rich() *container.InspectResponse {
	return &container.InspectResponse{
		ID: id, Name: "/web", Created: "2026-01-02T03:04:05.000000006Z", Image: "sha256:1234",
		State: &container.State{
			Status: container.StateExited, Pid: 0, ExitCode: 137, Error: "killed", OOMKilled: true,
			StartedAt: "2026-01-02T03:04:06Z", FinishedAt: "2026-01-02T03:04:07Z",
		},
		Config: &container.Config{
			Image: "busybox:1", User: "1000:1001", Labels: map[string]string{"app": "web"},
			Entrypoint: []string{"/entry", "-v"}, Cmd: []string{"serve"},
			Env:     []string{"PATH=/bin", "A=1", "UNSET", "A=2", "EMPTY="},
			Volumes: map[string]struct{}{"/var/data/": {}, "/etc/app": {}},
		},
		HostConfig: &container.HostConfig{
			Annotations: map[string]string{"note": "x"}, OomScoreAdj: -5, GroupAdd: []string{"7", "staff"},
			Binds:        []string{"/srv/app:/etc/app/:ro,rslave,z", "cache:/cache:nocopy"},
			Tmpfs:        map[string]string{"/run": "size=64m,exec"},
			Sysctls:      map[string]string{"net/ipv4/ip_forward": "1"},
			SecurityOpt:  []string{"label=disable", "seccomp=unconfined"},
			PidMode:      "host",
			IpcMode:      "container:abc",
			NetworkMode:  "bridge",
			CgroupnsMode: container.CgroupnsModePrivate,
			Runtime:      "runc",
			Mounts: []mount.Mount{
				{Type: mount.TypeBind, Source: "/srv/ro", Target: "/ro", ReadOnly: true,
					BindOptions: &mount.BindOptions{NonRecursive: true, ReadOnlyForceRecursive: true, Propagation: mount.PropagationPrivate}},
				{Type: mount.TypeImage, Source: "tools:1", Target: "/tools", ImageOptions: &mount.ImageOptions{Subpath: "bin"}},
				{Type: mount.TypeTmpfs, Target: "/scratch", ReadOnly: true,
					TmpfsOptions: &mount.TmpfsOptions{SizeBytes: 4096, Mode: 0o700, Options: [][]string{{"exec"}}}},
				{Type: mount.TypeVolume, Source: "nfs", Target: "/nfs", VolumeOptions: &mount.VolumeOptions{
					Subpath: "a", DriverConfig: &mount.Driver{Name: "local", Options: map[string]string{"type": "none", "device": "/etc", "o": "bind"}}}},
			},
			Resources: container.Resources{
				CPUShares: 512, NanoCPUs: 1_500_000_000, CpusetCpus: "0-1", CpusetMems: "0", CPURealtimePeriod: 1000, CPURealtimeRuntime: 900,
				Memory: 64 << 20, MemoryReservation: 32 << 20, MemorySwap: 128 << 20, MemorySwappiness: new(int64(10)),
				OomKillDisable: new(true), PidsLimit: new(int64(100)), CgroupParent: "/machines",
				Devices:           []container.DeviceMapping{{PathOnHost: "/dev/null", PathInContainer: "/dev/nothing/", CgroupPermissions: "rw"}},
				DeviceCgroupRules: []string{"c 195:* rw"},
				DeviceRequests: []container.DeviceRequest{
					{Driver: "cdi", DeviceIDs: []string{"vendor.com/gpu=0"}}, {Driver: "nvidia", Count: -1},
				},
				Ulimits: []*container.Ulimit{{Name: "nofile", Soft: 1, Hard: 2}, {Name: "core", Soft: -1, Hard: -1}, {Name: "nofile", Soft: 3, Hard: 4}},
			},
		},
	}
}

func TestContainer(t *testing.T) {
	got, err := docker.Container(rich())
	if err != nil {
		t.Fatal(err)
	}
	null := got.GetLinux().GetDevices()[0] // its permissions depend on the machine
	null.FileMode, null.Uid, null.Gid = nil, nil, nil
	want := &api.Container{
		Id: id, PodSandboxId: id, Name: "web", State: api.ContainerState_CONTAINER_STOPPED,
		Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"note": "x"},
		Args: []string{"/entry", "-v", "serve"}, Env: []string{"PATH=/bin", "A=2", "EMPTY="},
		CreatedAt: 1767323045000000006, StartedAt: 1767323046000000000, FinishedAt: 1767323047000000000,
		ExitCode: 137, StatusReason: "OOMKilled", StatusMessage: "killed",
		User:  &api.User{Uid: 1000, Gid: 1001, AdditionalGids: []uint32{7}},
		Image: &api.Image{Name: "busybox:1", ConfigDigest: "sha256:1234"},
		Mounts: []*api.Mount{
			{Destination: "/cache", Type: "volume", Source: "cache", Options: []string{"nocopy"}},
			{Destination: "/etc/app", Type: "bind", Source: "/srv/app", Options: []string{"rbind", "rslave", "ro", "z"}},
			{Destination: "/nfs", Type: "volume", Source: "nfs", Options: []string{
				"volume-subpath=a", "volume-driver=local", "volume-opt=device=/etc", "volume-opt=o=bind", "volume-opt=type=none"}},
			{Destination: "/ro", Type: "bind", Source: "/srv/ro", Options: []string{"bind", "private", "rro"}},
			{Destination: "/run", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "rprivate", "size=64m", "exec"}},
			{Destination: "/scratch", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "rprivate", "ro", "mode=700", "size=4096", "exec"}},
			{Destination: "/tools", Type: "image", Source: "tools:1", Options: []string{"image-subpath=bin", "ro"}},
			{Destination: "/var/data", Type: "volume"},
		},
		CDIDevices: []*api.CDIDevice{{Name: "vendor.com/gpu=0"}},
		Rlimits:    []*api.POSIXRlimit{{Type: "RLIMIT_CORE", Hard: 1<<64 - 1, Soft: 1<<64 - 1}, {Type: "RLIMIT_NOFILE", Hard: 4, Soft: 3}},
		Linux: &api.LinuxContainer{
			Namespaces: []*api.LinuxNamespace{
				{Type: "mount"}, {Type: "network"}, {Type: "uts"}, {Type: "ipc", Path: "container:abc"}, {Type: "cgroup"},
			},
			Devices: []*api.LinuxDevice{{Path: "/dev/nothing", Type: "c", Major: 1, Minor: 3}},
			Resources: &api.LinuxResources{
				Memory: &api.LinuxMemory{Limit: api.Int64(64 << 20), Reservation: api.Int64(32 << 20), Swap: api.Int64(128 << 20),
					Swappiness: api.UInt64(10), DisableOomKiller: api.Bool(true)},
				Cpu: &api.LinuxCPU{Shares: api.UInt64(512), Period: api.UInt64(100000), Quota: api.Int64(150000), Cpus: "0-1", Mems: "0",
					RealtimePeriod: api.UInt64(1000), RealtimeRuntime: api.Int64(900)},
				Pids: &api.LinuxPids{Limit: 100},
				Devices: []*api.LinuxDeviceCgroup{
					{Allow: true, Type: "c", Major: api.Int64(1), Minor: api.Int64(3), Access: "rw"},
					{Allow: true, Type: "c", Major: api.Int64(195), Access: "rw"},
				},
			},
			OomScoreAdj: &api.OptionalInt{Value: -5}, CgroupsPath: "/machines/" + id, Sysctl: map[string]string{"net.ipv4.ip_forward": "1"},
			SeccompProfile: &api.SecurityProfile{ProfileType: api.SecurityProfile_UNCONFINED},
		},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestContainerSparse(t *testing.T) {
	got, err := docker.Container(&container.InspectResponse{ID: id, Path: "/init", Args: []string{"x"}})
	if err != nil {
		t.Fatal(err)
	}
	want := &api.Container{
		Id: id, PodSandboxId: id, State: api.ContainerState_CONTAINER_CREATED, Args: []string{"/init", "x"}, User: &api.User{},
		Linux: &api.LinuxContainer{
			Namespaces:     []*api.LinuxNamespace{{Type: "mount"}, {Type: "network"}, {Type: "uts"}, {Type: "pid"}, {Type: "ipc"}},
			Resources:      &api.LinuxResources{Memory: &api.LinuxMemory{}, Cpu: &api.LinuxCPU{}},
			OomScoreAdj:    &api.OptionalInt{},
			SeccompProfile: &api.SecurityProfile{},
		},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestPod(t *testing.T) {
	c := rich()
	c.State.Pid = 42
	c.NetworkSettings = &container.NetworkSettings{SandboxKey: "/run/docker/netns/1", Networks: map[string]*network.EndpointSettings{
		"b": {IPAddress: netip.MustParseAddr("10.0.0.2"), GlobalIPv6Address: netip.MustParseAddr("fd00::2")},
		"a": {IPAddress: netip.MustParseAddr("10.1.0.2")}, "c": nil,
	}}
	want := &api.PodSandbox{
		Id: id, Name: "web", RuntimeHandler: "runc", Pid: 42, Ips: []string{"10.1.0.2", "10.0.0.2", "fd00::2"},
		Linux: &api.LinuxPodSandbox{CgroupParent: "/machines", Namespaces: []*api.LinuxNamespace{
			{Type: "mount"}, {Type: "network", Path: "/run/docker/netns/1"}, {Type: "uts"}, {Type: "ipc", Path: "/proc/42/ns/ipc"}, {Type: "cgroup"},
		}},
	}
	if diff := cmp.Diff(want, docker.Pod(c), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&api.PodSandbox{Linux: &api.LinuxPodSandbox{Namespaces: docker.Pod(&container.InspectResponse{}).Linux.Namespaces}},
		docker.Pod(&container.InspectResponse{}), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

// TestContainerReads has the settings that can be read in more than one way.
func TestContainerReads(t *testing.T) {
	for _, c := range []struct {
		name string
		with func(*container.InspectResponse)
		get  func(*api.Container) any
		want any
	}{
		{"a restarting container has no process", func(c *container.InspectResponse) { c.State.Status = container.StateRestarting },
			func(c *api.Container) any { return c.State }, api.ContainerState_CONTAINER_STOPPED},
		{"running", func(c *container.InspectResponse) { c.State.Status = container.StateRunning },
			func(c *api.Container) any { return c.State }, api.ContainerState_CONTAINER_RUNNING},
		{"paused", func(c *container.InspectResponse) { c.State.Status = container.StatePaused },
			func(c *api.Container) any { return c.State }, api.ContainerState_CONTAINER_PAUSED},
		{"a state that is not known", func(c *container.InspectResponse) { c.State.Status = "odd" },
			func(c *api.Container) any { return c.State }, api.ContainerState_CONTAINER_UNKNOWN},
		{"the year 1 is no time", func(c *container.InspectResponse) { c.State.StartedAt = "0001-01-01T00:00:00Z" },
			func(c *api.Container) any { return c.StartedAt }, int64(0)},
		{"a user by name cannot be told", func(c *container.InspectResponse) { c.Config.User = "www:0" },
			func(c *api.Container) any { return c.User == nil }, true},
		{"a group by name neither", func(c *container.InspectResponse) { c.Config.User = "0:www" },
			func(c *api.Container) any { return c.User == nil }, true},
		{"nobody is root", func(c *container.InspectResponse) { c.Config.User = "" },
			func(c *api.Container) any { return c.GetUser().GetUid() }, uint32(0)},
		{"containerd's image store", func(c *container.InspectResponse) {
			if err := json.Unmarshal([]byte(`{"ImageManifestDescriptor": {"digest": "sha256:m"}}`), c); err != nil {
				t.Fatal(err)
			}
		},
			func(c *api.Container) any { return c.Image.Digest + "/" + c.Image.ConfigDigest }, "sha256:1234/"},
		{"systemd's cgroups", func(c *container.InspectResponse) { c.HostConfig.CgroupParent = "web.slice" },
			func(c *api.Container) any { return c.Linux.CgroupsPath }, "web.slice:docker:" + id},
		{"the daemon's cgroups are not known", func(c *container.InspectResponse) { c.HostConfig.CgroupParent = "" },
			func(c *api.Container) any { return c.Linux.CgroupsPath }, ""},
		{"a quota beside CPUs", func(c *container.InspectResponse) { c.HostConfig.CPUQuota = 5000 },
			func(c *api.Container) any { return c.Linux.Resources.Cpu.Quota.GetValue() }, int64(5000)},
		{"no limit for processes", func(c *container.InspectResponse) { c.HostConfig.PidsLimit = new(int64(0)) },
			func(c *api.Container) any { return c.Linux.Resources.Pids.GetLimit() }, int64(-1)},
		{"a privileged container has no seccomp", func(c *container.InspectResponse) {
			c.HostConfig.Privileged, c.HostConfig.SecurityOpt = true, nil
		}, func(c *api.Container) any { return c.Linux.SeccompProfile.ProfileType }, api.SecurityProfile_UNCONFINED},
		{"the last security option wins", func(c *container.InspectResponse) {
			c.HostConfig.SecurityOpt = []string{"seccomp=unconfined", "seccomp:builtin"}
		}, func(c *api.Container) any { return c.Linux.SeccompProfile.ProfileType }, api.SecurityProfile_RUNTIME_DEFAULT},
		{"a seccomp profile", func(c *container.InspectResponse) {
			c.HostConfig.SecurityOpt = []string{`seccomp={"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]}`}
		}, func(c *api.Container) any {
			return c.Linux.SeccompProfile.ProfileType.String() + " " + c.Linux.SeccompPolicy.Syscalls[0].Names[0]
		}, "LOCALHOST read"},
		{"a seccomp profile with conditions", func(c *container.InspectResponse) {
			c.HostConfig.SecurityOpt = []string{`seccomp={"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"includes":{"caps":["x"]}}]}`}
		}, func(c *api.Container) any { return c.Linux.SeccompPolicy == nil }, true},
		{"what is no seccomp profile", func(c *container.InspectResponse) { c.HostConfig.SecurityOpt = []string{"seccomp={"} },
			func(c *api.Container) any { return c.Linux.SeccompPolicy == nil }, true},
		{"the host's network", func(c *container.InspectResponse) { c.HostConfig.NetworkMode = "host" },
			func(c *api.Container) any { return c.Linux.Namespaces[1].Type }, "uts"},
		{"no network", func(c *container.InspectResponse) { c.HostConfig.NetworkMode, c.Config.NetworkDisabled = "host", true },
			func(c *api.Container) any { return c.Linux.Namespaces[1].Type }, "network"},
		{"a device that is not there", func(c *container.InspectResponse) { c.HostConfig.Devices[0].PathOnHost = "/dev/no/such" },
			func(c *api.Container) any { return c.Linux.Devices[0].Path + c.Linux.Devices[0].Type }, "/dev/nothing"},
		{"other containers' volumes, once mounted", func(c *container.InspectResponse) {
			c.Mounts = []container.MountPoint{
				{Type: mount.TypeVolume, Name: "shared", Source: "/var/lib/x", Destination: "/aaa", RW: false},
				{Type: mount.TypeBind, Source: "/elsewhere", Destination: "/ro", RW: true},
			}
		}, func(c *api.Container) any {
			m := c.Mounts[0]
			return strings.Join(append([]string{m.Destination, m.Type, m.Source}, m.Options...), " ")
		}, "/aaa volume shared ro"},
		{"a limit that is not there", func(c *container.InspectResponse) { c.HostConfig.Ulimits = []*container.Ulimit{nil} },
			func(c *api.Container) any { return len(c.Rlimits) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := rich()
			c.with(in)
			got, err := docker.Container(in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, c.get(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestContainerMalformed(t *testing.T) {
	for _, c := range []struct {
		with func(*container.InspectResponse)
		want string
	}{
		{func(c *container.InspectResponse) { c.HostConfig.Binds = []string{"/a:/b:ro:z"} }, "too many colons"},
		{func(c *container.InspectResponse) { c.HostConfig.Binds = []string{"/a:b"} }, "absolute target"},
		{func(c *container.InspectResponse) { c.HostConfig.Binds = []string{":/b"} }, "absolute target"},
		{func(c *container.InspectResponse) { c.HostConfig.Binds = []string{""} }, "absolute target"},
		{func(c *container.InspectResponse) { c.HostConfig.Binds = []string{"/a:/b:noexec"} }, `unknown option "noexec"`},
		{func(c *container.InspectResponse) { c.HostConfig.DeviceCgroupRules = []string{"c 1:3"} }, `"c 1:3" does not read TYPE MAJOR:MINOR ACCESS`},
		{func(c *container.InspectResponse) {
			c.HostConfig.DeviceCgroupRules = []string{"c 99999999999999999999:* r"}
		}, "out of range"},
		{func(c *container.InspectResponse) { c.Created = "yesterday" }, "Created: parsing time"},
		{func(c *container.InspectResponse) { c.State.FinishedAt = "tomorrow" }, "State.FinishedAt: parsing time"},
	} {
		in := rich()
		c.with(in)
		if _, err := docker.Container(in); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), id) {
			t.Errorf("error %v does not say %q", err, c.want)
		}
	}
}

func TestContainerSharesNothing(t *testing.T) {
	c := rich()
	got, err := docker.Container(c)
	if err != nil {
		t.Fatal(err)
	}
	got.Labels["app"], got.Annotations["note"], got.Args[0], got.Env[0], got.Linux.Sysctl["x"] = "", "", "", "", ""
	if diff := cmp.Diff(rich(), c); diff != "" {
		t.Error(diff)
	}
}
