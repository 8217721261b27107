package nri

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
)

// takeOutOfAdjustment removes everything that is about the thing that changes,
// whatever its spelling, markers included: half of a replacement would be a
// removal that nobody asked for.
func takeOutOfAdjustment(a *api.ContainerAdjustment, c *engine.Change) error {
	switch c.Field {
	case engine.Annotation:
		takeOutOfMap(a.Annotations, c.Key, asWritten)
	case engine.MountPoint:
		a.Mounts = slices.DeleteFunc(a.Mounts, func(m *api.Mount) bool {
			return insideRoot(api.ClearRemovalMarker(m.GetDestination())) == c.Key
		})
	case engine.Env:
		a.Env = slices.DeleteFunc(a.Env, func(e *api.KeyValue) bool {
			return api.ClearRemovalMarker(e.GetKey()) == c.Key
		})
	case engine.Args:
		a.Args = nil
	case engine.OCIHook:
		for _, stage := range hookStages(a.Hooks) {
			if stage.name == c.Key && c.Position < len(stage.hooks) {
				stage.hooks[c.Position] = nil
			}
		}
	case engine.CDI:
		a.CDIDevices = slices.DeleteFunc(a.CDIDevices, func(d *api.CDIDevice) bool { return d.GetName() == c.Key })
	case engine.POSIXRlimit:
		a.Rlimits = slices.DeleteFunc(a.Rlimits, func(l *api.POSIXRlimit) bool { return l.GetType() == c.Key })
	default:
		if a.Linux == nil {
			return fmt.Errorf("%s stems from no message", c)
		}
		return takeOutOfLinux(a.Linux, c)
	}
	return nil
}

func takeOutOfLinux(l *api.LinuxContainerAdjustment, c *engine.Change) error {
	switch c.Field {
	case engine.DeviceNode:
		takeOutDevice(l, c.Key)
	case engine.DeviceCgroup:
		if c.ImpliedBy != "" {
			takeOutDevice(l, c.ImpliedBy)
		} else {
			takeOutRule(l.Resources, c)
		}
	case engine.Namespaces:
		l.Namespaces = slices.DeleteFunc(l.Namespaces, func(n *api.LinuxNamespace) bool {
			return api.ClearRemovalMarker(n.GetType()) == c.Key
		})
	case engine.Sysctl:
		takeOutOfMap(l.Sysctl, c.Key, sysctlName)
	case engine.NetDevice:
		takeOutOfMap(l.NetDevices, c.Key, asWritten)
	case engine.CgroupsPath:
		l.CgroupsPath = ""
	case engine.OOMScoreAdj:
		l.OomScoreAdj = nil
	case engine.IOPriority:
		l.IoPriority = nil
	case engine.Scheduler:
		l.Scheduler = nil
	case engine.Seccomp:
		l.SeccompPolicy = nil
	case engine.MemoryPolicy:
		l.MemoryPolicy = nil
	case engine.RDT:
		l.Rdt = nil
	case engine.Resource:
		if l.Resources == nil {
			return fmt.Errorf("%s stems from no message", c)
		}
		key := c.Key
		if key == "memory.swap" {
			key = "memory.limit" // the generator sets both from the one
		}
		resetLimit(l.Resources, nil, key)
	default:
		return fmt.Errorf("%s cannot be taken out", c)
	}
	return nil
}

func takeOutOfMap[V any](m map[string]V, name string, effective func(string) string) {
	maps.DeleteFunc(m, func(k string, _ V) bool { return effective(api.ClearRemovalMarker(k)) == name })
}

// takeOutDevice removes a device and the rules of the device cgroup that let it be
// used: without the node they would be access that nothing explains.
func takeOutDevice(l *api.LinuxContainerAdjustment, key string) {
	var gone []*api.LinuxDevice
	l.Devices = slices.DeleteFunc(l.Devices, func(d *api.LinuxDevice) bool {
		if insideRoot(api.ClearRemovalMarker(d.GetPath())) != key {
			return false
		}
		gone = append(gone, d)
		return true
	})
	for i, r := range l.GetResources().GetDevices() {
		for _, d := range gone {
			if r.GetAllow() && r.GetType() == d.GetType() && r.GetMajor() != nil && r.GetMinor() != nil &&
				r.GetMajor().GetValue() == d.GetMajor() && r.GetMinor().GetValue() == d.GetMinor() {
				l.Resources.Devices[i] = nil
			}
		}
	}
}

// resetLimit gives a resource the value that it has in the other message, or none.
func resetLimit(r, to *api.LinuxResources, name string) {
	if size, ok := strings.CutPrefix(name, "hugepages."); ok {
		mine := func(h *api.HugepageLimit) bool { return h.GetPageSize() == size }
		r.HugepageLimits = slices.DeleteFunc(r.HugepageLimits, mine)
		if i := slices.IndexFunc(to.GetHugepageLimits(), mine); i >= 0 {
			r.HugepageLimits = append(r.HugepageLimits, to.GetHugepageLimits()[i])
		}
		return
	}
	if key, ok := strings.CutPrefix(name, "unified."); ok {
		if r.Unified == nil {
			return // one container may have several updates
		}
		delete(r.Unified, key)
		if v, ok := to.GetUnified()[key]; ok {
			r.Unified[key] = v
		}
		return
	}
	switch name {
	case "pids.limit":
		r.Pids = to.GetPids()
	case "blockioClass":
		r.BlockioClass = to.GetBlockioClass()
	case "rdtClass":
		r.RdtClass = to.GetRdtClass()
	}
	resetCPU(r.GetCpu(), to.GetCpu(), name)
	resetMemory(r.GetMemory(), to.GetMemory(), name)
}

func resetCPU(c, to *api.LinuxCPU, name string) {
	if c == nil {
		return
	}
	switch name {
	case "cpu.shares":
		c.Shares = to.GetShares()
	case "cpu.quota":
		c.Quota = to.GetQuota()
	case "cpu.period":
		c.Period = to.GetPeriod()
	case "cpu.realtimeRuntime":
		c.RealtimeRuntime = to.GetRealtimeRuntime()
	case "cpu.realtimePeriod":
		c.RealtimePeriod = to.GetRealtimePeriod()
	case "cpu.cpus":
		c.Cpus = to.GetCpus()
	case "cpu.mems":
		c.Mems = to.GetMems()
	}
}

func resetMemory(m, to *api.LinuxMemory, name string) {
	if m == nil {
		return
	}
	switch name {
	case "memory.limit":
		m.Limit = to.GetLimit()
	case "memory.reservation":
		m.Reservation = to.GetReservation()
	case "memory.swap":
		m.Swap = to.GetSwap()
	case "memory.kernel":
		m.Kernel = to.GetKernel()
	case "memory.kernelTcp":
		m.KernelTcp = to.GetKernelTcp()
	case "memory.swappiness":
		m.Swappiness = to.GetSwappiness()
	case "memory.disableOomKiller":
		m.DisableOomKiller = to.GetDisableOomKiller()
	case "memory.useHierarchy":
		m.UseHierarchy = to.GetUseHierarchy()
	}
}
