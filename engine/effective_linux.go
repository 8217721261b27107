package engine

import (
	"path"
	"strings"

	"github.com/containerd/nri/pkg/api"
)

// linuxEffect is the Linux part of a container that changes are applied to.
type linuxEffect struct{ *api.LinuxContainer }

func (e linuxEffect) apply(c *Change) {
	switch c.Field {
	case CgroupsPath:
		e.CgroupsPath = valueOf[string](c)
	case DeviceNode:
		e.device(c)
	case DeviceCgroup:
		e.deviceRule(c)
	case IOPriority:
		e.IoPriority = valueOf[*api.LinuxIOPriority](c)
	case Namespaces:
		setEntry(&e.Namespaces, c, &api.LinuxNamespace{Type: c.Key, Path: structOf[Namespace](c).Path},
			func(n *api.LinuxNamespace) bool { return n.GetType() == c.Key })
	case NetDevice:
		setKey(&e.NetDevices, c, c.Key, valueOf[*api.LinuxNetDevice](c))
	case OOMScoreAdj:
		e.OomScoreAdj = nil
		if c.Op != Remove {
			e.OomScoreAdj = &api.OptionalInt{Value: valueOf[int64](c)}
		}
	case RDT:
		e.Rdt = valueOf[*api.LinuxRdt](c)
	case Resource:
		e.resource(c)
	case Scheduler:
		e.Scheduler = valueOf[*api.LinuxScheduler](c)
	case Seccomp:
		e.SeccompPolicy = valueOf[*api.LinuxSeccomp](c)
	case Sysctl:
		e.sysctl(c)
	}
}

func (e linuxEffect) device(c *Change) {
	v := structOf[Device](c)
	d := &api.LinuxDevice{Path: c.Key, Type: v.Type, Major: v.Major, Minor: v.Minor}
	if v.FileMode != nil {
		d.FileMode = &api.OptionalFileMode{Value: *v.FileMode}
	}
	if v.UID != nil {
		d.Uid = &api.OptionalUInt32{Value: *v.UID}
	}
	if v.GID != nil {
		d.Gid = &api.OptionalUInt32{Value: *v.GID}
	}
	setEntry(&e.Devices, c, d, func(d *api.LinuxDevice) bool { return path.Clean("/"+d.GetPath()) == c.Key })
}

// deviceRule appends a rule; nothing takes rules away.
func (e linuxEffect) deviceRule(c *Change) {
	v := structOf[DeviceRule](c)
	rule := &api.LinuxDeviceCgroup{Allow: v.Allow, Type: v.Type, Access: v.Access}
	if v.Major != nil {
		rule.Major = &api.OptionalInt64{Value: *v.Major}
	}
	if v.Minor != nil {
		rule.Minor = &api.OptionalInt64{Value: *v.Minor}
	}
	if c.Op != Remove {
		r := e.resources()
		r.Devices = append(r.Devices, rule)
	}
}

// sysctl leaves no other spelling of the parameter behind: the change has its name
// with dots.
func (e linuxEffect) sysctl(c *Change) {
	for name := range e.Sysctl {
		if strings.ReplaceAll(name, "/", ".") == c.Key {
			delete(e.Sysctl, name)
		}
	}
	setKey(&e.Sysctl, c, c.Key, valueOf[string](c))
}

func (e linuxEffect) resources() *api.LinuxResources {
	if e.Resources == nil {
		e.Resources = &api.LinuxResources{}
	}
	return e.Resources
}

func (e linuxEffect) resource(c *Change) {
	r := e.resources()
	group, name, _ := strings.Cut(c.Key, ".")
	switch group {
	case "memory":
		if r.Memory == nil {
			r.Memory = &api.LinuxMemory{}
		}
		setMemory(r.Memory, name, c)
	case "cpu":
		if r.Cpu == nil {
			r.Cpu = &api.LinuxCPU{}
		}
		setCPU(r.Cpu, name, c)
	case "hugepages":
		setEntry(&r.HugepageLimits, c, &api.HugepageLimit{PageSize: name, Limit: unsigned(c)},
			func(h *api.HugepageLimit) bool { return h.GetPageSize() == name })
	case "unified":
		setKey(&r.Unified, c, name, valueOf[string](c))
	case "pids":
		r.Pids = nil
		if c.Op != Remove {
			r.Pids = &api.LinuxPids{Limit: signed(c)}
		}
	case "blockioClass":
		r.BlockioClass = optional(c, &api.OptionalString{Value: valueOf[string](c)})
	case "rdtClass":
		r.RdtClass = optional(c, &api.OptionalString{Value: valueOf[string](c)})
	}
}

func setMemory(m *api.LinuxMemory, name string, c *Change) {
	i := optional(c, &api.OptionalInt64{Value: signed(c)})
	b := optional(c, &api.OptionalBool{Value: valueOf[bool](c)})
	switch name {
	case "limit":
		m.Limit = i
	case "reservation":
		m.Reservation = i
	case "swap":
		m.Swap = i
	case "kernel":
		m.Kernel = i
	case "kernelTcp":
		m.KernelTcp = i
	case "swappiness":
		m.Swappiness = optional(c, &api.OptionalUInt64{Value: unsigned(c)})
	case "disableOomKiller":
		m.DisableOomKiller = b
	case "useHierarchy":
		m.UseHierarchy = b
	}
}

func setCPU(cpu *api.LinuxCPU, name string, c *Change) {
	i := optional(c, &api.OptionalInt64{Value: signed(c)})
	u := optional(c, &api.OptionalUInt64{Value: unsigned(c)})
	switch name {
	case "shares":
		cpu.Shares = u
	case "quota":
		cpu.Quota = i
	case "period":
		cpu.Period = u
	case "realtimeRuntime":
		cpu.RealtimeRuntime = i
	case "realtimePeriod":
		cpu.RealtimePeriod = u
	case "cpus":
		cpu.Cpus = valueOf[string](c)
	case "mems":
		cpu.Mems = valueOf[string](c)
	}
}

// optional is nil where the change takes something away.
func optional[T any](c *Change, v *T) *T {
	if c.Op == Remove {
		return nil
	}
	return v
}

// signed and unsigned read a number whichever of the two it is kept as.
func signed(c *Change) int64 {
	if u, ok := c.Value.(uint64); ok {
		return int64(u)
	}
	return valueOf[int64](c)
}

func unsigned(c *Change) uint64 {
	if i, ok := c.Value.(int64); ok {
		return uint64(i)
	}
	return valueOf[uint64](c)
}
