package docker

import (
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"github.com/moby/moby/api/types/container"
	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

func linuxOf(c *container.InspectResponse) (*api.LinuxContainer, error) {
	_, host := settings(c)
	devices, implied := devicesOf(host.Devices)
	rules, err := rulesOf(host.DeviceCgroupRules)
	resources := resourcesOf(&host.Resources)
	resources.Devices = append(implied, rules...)
	linux := &api.LinuxContainer{
		Namespaces:  namespacesOf(c),
		Devices:     devices,
		Resources:   resources,
		OomScoreAdj: &api.OptionalInt{Value: int64(host.OomScoreAdj)},
		CgroupsPath: cgroupsPathOf(host.CgroupParent, c.ID),
		Sysctl:      sysctlsOf(host.Sysctls),
	}
	linux.SeccompProfile, linux.SeccompPolicy = seccompOf(host)
	return linux, err
}

func sysctlsOf(m map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	shown := make(map[string]string, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		shown[sysctlName(k)] = m[k]
	}
	return shown
}

// cgroupsPathOf is the path that Docker gives to the OCI runtime: slice, "docker"
// and id for systemd, whose slices it demands to be named as such, and a directory
// otherwise. Without a parent it depends on the daemon, and is not shown.
func cgroupsPathOf(parent, id string) string {
	switch {
	case parent == "" || id == "":
		return ""
	case isSlice(parent):
		return parent + ":docker:" + id
	}
	return path.Join(parent, id)
}

func isSlice(parent string) bool {
	return strings.HasSuffix(parent, ".slice") && len(parent) > len(".slice") && !strings.Contains(parent, "/")
}

// namespacesOf lists the namespaces that are the container's own, without a path,
// or another container's; those of the host are left out. Whether there is a user
// namespace, or one for cgroups where the mode is not given, depends on the daemon.
func namespacesOf(c *container.InspectResponse) []*api.LinuxNamespace {
	config, host := settings(c)
	n := namespaces{}
	if c.State != nil {
		n.pid = c.State.Pid
	}
	if c.NetworkSettings != nil {
		n.network = c.NetworkSettings.SandboxKey
	}
	n.add("mount", "mnt", "")
	if config.NetworkDisabled {
		n.add("network", "net", "")
	} else {
		n.add("network", "net", string(host.NetworkMode))
	}
	n.add("uts", "uts", string(host.UTSMode))
	n.add("pid", "pid", string(host.PidMode))
	n.add("ipc", "ipc", string(host.IpcMode))
	if host.CgroupnsMode.IsPrivate() {
		n.add("cgroup", "cgroup", "")
	}
	return n.list
}

type namespaces struct {
	pid     int    // of the container, 0 when it does not run
	network string // path of the network namespace, "" when there is none yet
	list    []*api.LinuxNamespace
}

// add reads a mode of Docker's. The path of another container's namespace is known
// once this one runs; before that the mode stands in its place.
func (n *namespaces) add(kind, file, mode string) {
	name := ""
	switch {
	case mode == "host":
		return
	case kind == "network" && n.network != "":
		name = n.network
	case strings.HasPrefix(mode, "container:") && n.pid > 0:
		name = "/proc/" + strconv.Itoa(n.pid) + "/ns/" + file
	case strings.HasPrefix(mode, "container:"):
		name = mode
	}
	n.list = append(n.list, &api.LinuxNamespace{Type: kind, Path: name})
}

// seccompOf reads the security options. A profile of one's own is given in full; it
// is shown when it is the same for every container, that is, unless rules depend on
// capabilities, architecture or kernel.
func seccompOf(host *container.HostConfig) (*api.SecurityProfile, *api.LinuxSeccomp) {
	profile := ""
	for _, option := range host.SecurityOpt {
		// The colon is an old spelling.
		for _, prefix := range []string{"seccomp=", "seccomp:"} {
			if v, ok := strings.CutPrefix(option, prefix); ok {
				profile = v
			}
		}
	}
	switch {
	case profile == "unconfined", profile == "" && host.Privileged:
		return &api.SecurityProfile{ProfileType: api.SecurityProfile_UNCONFINED}, nil
	case profile == "", profile == "builtin":
		return &api.SecurityProfile{ProfileType: api.SecurityProfile_RUNTIME_DEFAULT}, nil
	}
	return &api.SecurityProfile{ProfileType: api.SecurityProfile_LOCALHOST}, seccompPolicy([]byte(profile))
}

// seccompPolicy returns nil for what is no profile or depends on circumstances.
func seccompPolicy(profile []byte) *api.LinuxSeccomp {
	var conditions struct {
		ArchMap  []json.RawMessage `json:"archMap"`
		Syscalls []struct {
			Name     string                     `json:"name"`
			Includes map[string]json.RawMessage `json:"includes"`
			Excludes map[string]json.RawMessage `json:"excludes"`
		} `json:"syscalls"`
	}
	var policy rspec.LinuxSeccomp
	if json.Unmarshal(profile, &conditions) != nil || json.Unmarshal(profile, &policy) != nil || len(conditions.ArchMap) > 0 {
		return nil
	}
	for _, s := range conditions.Syscalls {
		if s.Name != "" || len(s.Includes)+len(s.Excludes) > 0 {
			return nil
		}
	}
	return api.FromOCILinuxSeccomp(&policy)
}

// resourcesOf reads limits as Docker does when it starts a container: 0 is none.
func resourcesOf(r *container.Resources) *api.LinuxResources {
	out := &api.LinuxResources{Memory: &api.LinuxMemory{}, Cpu: &api.LinuxCPU{Cpus: r.CpusetCpus, Mems: r.CpusetMems}}
	positive := func(to **api.OptionalInt64, n int64) {
		if n > 0 {
			*to = api.Int64(n)
		}
	}
	positive(&out.Memory.Limit, r.Memory)
	positive(&out.Memory.Reservation, r.MemoryReservation)
	positive(&out.Memory.Swap, r.MemorySwap)
	if s := r.MemorySwappiness; s != nil && *s >= 0 {
		out.Memory.Swappiness = api.UInt64(uint64(*s))
	}
	if r.OomKillDisable != nil {
		out.Memory.DisableOomKiller = api.Bool(*r.OomKillDisable)
	}
	if r.PidsLimit != nil {
		out.Pids = &api.LinuxPids{Limit: api.UnlimitedPidsLimit}
		if *r.PidsLimit > 0 {
			out.Pids.Limit = *r.PidsLimit
		}
	}
	cpuOf(out.Cpu, r)
	return out
}

func cpuOf(cpu *api.LinuxCPU, r *container.Resources) {
	period, quota := bandwidth(r)
	unsigned := func(to **api.OptionalUInt64, n int64) {
		if n > 0 {
			*to = api.UInt64(uint64(n))
		}
	}
	signed := func(to **api.OptionalInt64, n int64) {
		if n != 0 {
			*to = api.Int64(n)
		}
	}
	unsigned(&cpu.Shares, r.CPUShares)
	unsigned(&cpu.Period, period)
	signed(&cpu.Quota, quota)
	unsigned(&cpu.RealtimePeriod, r.CPURealtimePeriod)
	signed(&cpu.RealtimeRuntime, r.CPURealtimeRuntime)
}

// nanoPeriod is the period, in microseconds, by which Docker counts NanoCPUs.
const nanoPeriod = 100_000

// bandwidth returns period and quota in microseconds. NanoCPUs, in billionths of a
// CPU, are another way to give the two; each of them alone overrules it.
func bandwidth(r *container.Resources) (period, quota int64) {
	if r.NanoCPUs > 0 {
		period, quota = nanoPeriod, r.NanoCPUs/(1e9/nanoPeriod)
	}
	if r.CPUPeriod != 0 {
		period = r.CPUPeriod
	}
	if r.CPUQuota != 0 {
		quota = r.CPUQuota
	}
	return period, quota
}

// sysctlName writes a kernel parameter with dots: the separator that comes first
// separates, and where that is a slash, dots and slashes change places
// (sysctl.d(5)).
func sysctlName(name string) string {
	if i := strings.IndexAny(name, "./"); i < 0 || name[i] == '.' {
		return name
	}
	return strings.NewReplacer("/", ".", ".", "/").Replace(name)
}
