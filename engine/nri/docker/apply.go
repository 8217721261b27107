package docker

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"github.com/moby/moby/api/types/container"
)

// adjustable are the fields of an adjustment that [Apply] translates.
var adjustable = known{
	"annotations": whole,
	"args":        whole,
	"CDIDevices":  whole,
	"env":         whole,
	"hooks":       parts,
	"linux":       parts,
	"mounts":      whole,
	"rlimits":     whole,

	"linux.cgroupsPath": whole,
	"linux.devices":     whole,
	"linux.namespaces":  whole,
	"linux.oomScoreAdj": whole,
	"linux.rdt":         parts,
	"linux.resources":   parts,
	"linux.sysctl":      whole,

	"linux.resources.cpu":                 parts,
	"linux.resources.cpu.cpus":            whole,
	"linux.resources.cpu.mems":            whole,
	"linux.resources.cpu.period":          whole,
	"linux.resources.cpu.quota":           whole,
	"linux.resources.cpu.realtimePeriod":  whole,
	"linux.resources.cpu.realtimeRuntime": whole,
	"linux.resources.cpu.shares":          whole,
	"linux.resources.devices":             whole,
	"linux.resources.memory":              parts,
	"linux.resources.memory.limit":        whole,
	"linux.resources.pids":                whole,
}

// Apply puts an approved adjustment, as NRI merges it, into c.Config and
// c.HostConfig of a container that is about to be created, and into c.Path and
// c.Args where the arguments change. A nil adjustment changes nothing.
//
// What cannot be expressed is a [*Unsupported] error that names all of it; then, and
// on any other error, c is as it was. Lists and maps that c refers to are replaced,
// never written to, and the adjustment is not kept.
//
// Where the settings have to be read in some way:
//
//   - Mounts. A bind mount is recursive only with rbind. "ro" makes the mount itself
//     read-only and "rro" the ones below it too, so that Docker's own default, rro
//     where the kernel can, is never what an adjustment gets. A tmpfs has the options
//     that it asks for and none of Docker's.
//   - Devices. Docker has them by the path of a node on this host, which is looked up
//     by type and numbers. The rule for the device cgroup comes and goes with them.
//   - The cgroup's path must be the container's own directory below a parent,
//     PARENT/ID or, where the daemon uses systemd, NAME.slice:docker:ID.
//   - Namespaces of the types cgroup, pid and uts can be made the container's own or
//     the host's.
func Apply(c *container.InspectResponse, adjust *api.ContainerAdjustment) error {
	if adjust == nil {
		return nil
	}
	if c == nil || c.Config == nil || c.HostConfig == nil {
		return errors.New("an adjustment needs a container with Config and HostConfig to apply it to")
	}
	x := &change{was: c, config: *c.Config, host: *c.HostConfig}
	x.check(adjust, adjustable)
	x.adjust(adjust)
	if err := x.err(); err != nil {
		return err
	}
	*c.Config, *c.HostConfig = x.config, x.host
	if args := adjust.GetArgs(); len(args) > 0 {
		c.Path, c.Args = args[0], slices.Clone(args[1:])
	}
	return nil
}

// change is an adjustment being applied to copies.
type change struct {
	refusals
	was    *container.InspectResponse
	config container.Config
	host   container.HostConfig
}

func (x *change) adjust(a *api.ContainerAdjustment) {
	x.annotations(a.GetAnnotations())
	x.args(a.GetArgs())
	x.env(a.GetEnv())
	x.mounts(a.GetMounts())
	x.rlimits(a.GetRlimits())
	x.cdiDevices(a.GetCDIDevices())
	linux := a.GetLinux()
	x.devices(linux.GetDevices())
	x.cgroupsPath(linux.GetCgroupsPath())
	x.oomScoreAdj(linux.GetOomScoreAdj())
	x.namespaces(linux.GetNamespaces())
	x.sysctl(linux.GetSysctl())
	x.resources(linux.GetResources())
}

// args become the entry point, so that no image's entry point gets before them.
func (x *change) args(args []string) {
	if len(args) == 0 {
		return
	}
	if args[0] == "" {
		x.refuse("args: the program has no name")
		return
	}
	x.config.Entrypoint, x.config.Cmd = slices.Clone(args), nil
}

func (x *change) annotations(m map[string]string) {
	for k := range m {
		if api.ClearRemovalMarker(k) == "" {
			x.refuse("annotations: an annotation has no name")
		}
	}
	x.host.Annotations = edited(x.host.Annotations, m, func(k string) string { return k })
}

// sysctl sets names in any spelling and leaves them with dots. What is removed must be
// spelt as it is shown: otherwise nobody was told of a removal.
func (x *change) sysctl(m map[string]string) {
	set := map[string]int{}
	for k := range m {
		if raw, marked := api.IsMarkedForRemoval(k); !marked {
			set[sysctlName(raw)]++
		}
	}
	for k := range m {
		raw, marked := api.IsMarkedForRemoval(k)
		name := sysctlName(raw)
		switch {
		case !isSysctl(name):
			x.refuse("linux.sysctl[%s]: no name of a kernel parameter", raw)
		case marked && raw != name:
			x.refuse("linux.sysctl[-%s]: the name must read %s", raw, name)
		case set[name] > 1:
			x.refuse("linux.sysctl[%s]: given in two spellings", name)
		case marked && set[name] == 0 && slices.Contains(ownSysctls, name):
			x.refuse("linux.sysctl[%s]: Docker sets it by itself", raw)
		}
	}
	x.host.Sysctls = edited(x.host.Sysctls, m, sysctlName)
}

// ownSysctls are set in containers that are not told otherwise.
var ownSysctls = []string{"kernel.domainname", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range"}

func isSysctl(name string) bool {
	return name != "" && !slices.Contains(strings.Split(name, "."), "") && !strings.ContainsAny(name, " \t\n")
}

// edited returns a copy of m with the changes made. Where a name is both set and
// removed it is set: that is how NRI means it, and how plugins replace what another
// one has set.
func edited(m, changes map[string]string, name func(string) string) map[string]string {
	if len(changes) == 0 {
		return m
	}
	out := maps.Clone(m)
	if out == nil {
		out = map[string]string{}
	}
	for k := range changes {
		raw, _ := api.IsMarkedForRemoval(k)
		maps.DeleteFunc(out, func(old, _ string) bool { return name(old) == name(raw) })
	}
	for k, v := range changes {
		if raw, marked := api.IsMarkedForRemoval(k); !marked {
			out[name(raw)] = v
		}
	}
	return out
}
