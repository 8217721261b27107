package nri_test

import (
	"github.com/containerd/nri/pkg/api"
	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

// toSpec is the OCI spec of a container that a runtime shows to plugins.
func toSpec(c *api.Container) *rspec.Spec {
	spec := &rspec.Spec{
		Annotations: api.DupStringMap(c.GetAnnotations()),
		Process:     &rspec.Process{Args: api.DupStringSlice(c.GetArgs()), Env: api.DupStringSlice(c.GetEnv())},
		Linux:       &rspec.Linux{CgroupsPath: c.GetLinux().GetCgroupsPath(), Sysctl: api.DupStringMap(c.GetLinux().GetSysctl())},
	}
	for _, m := range c.GetMounts() {
		spec.Mounts = append(spec.Mounts, m.ToOCI(nil))
	}
	for _, l := range c.GetRlimits() {
		spec.Process.Rlimits = append(spec.Process.Rlimits, rspec.POSIXRlimit{Type: l.Type, Hard: l.Hard, Soft: l.Soft})
	}
	l := c.GetLinux()
	for _, d := range l.GetDevices() {
		spec.Linux.Devices = append(spec.Linux.Devices, d.ToOCI())
	}
	for _, n := range l.GetNamespaces() {
		spec.Linux.Namespaces = append(spec.Linux.Namespaces, rspec.LinuxNamespace{Type: rspec.LinuxNamespaceType(n.Type), Path: n.Path})
	}
	spec.Linux.NetDevices = api.ToOCILinuxNetDevices(l.GetNetDevices())
	if s := l.GetOomScoreAdj(); s != nil {
		v := int(s.GetValue())
		spec.Process.OOMScoreAdj = &v
	}
	if p := l.GetIoPriority().ToOCI(); p != nil && p.Class != "" {
		spec.Process.IOPriority = p
	}
	spec.Process.Scheduler = l.GetScheduler().ToOCI()
	if s := l.GetSeccompPolicy(); s != nil {
		spec.Linux.Seccomp = ociSeccomp(s)
	}
	if r := l.GetRdt(); r != nil {
		spec.Linux.IntelRdt = &rspec.LinuxIntelRdt{ClosID: r.GetClosId().GetValue(), Schemata: r.GetSchemata().GetValue(),
			EnableMonitoring: r.GetEnableMonitoring().GetValue()}
	}
	spec.Linux.Resources = ociResources(l.GetResources())
	return spec
}

func ociSeccomp(s *api.LinuxSeccomp) *rspec.LinuxSeccomp {
	o := &rspec.LinuxSeccomp{DefaultAction: rspec.LinuxSeccompAction(s.DefaultAction), Architectures: []rspec.Arch{},
		Flags: []rspec.LinuxSeccompFlag{}, ListenerPath: s.ListenerPath, ListenerMetadata: s.ListenerMetadata,
		Syscalls: api.ToOCILinuxSyscalls(s.Syscalls)}
	if s.DefaultErrno != nil {
		n := uint(s.DefaultErrno.GetValue())
		o.DefaultErrnoRet = &n
	}
	for _, a := range s.Architectures {
		o.Architectures = append(o.Architectures, rspec.Arch(a))
	}
	for _, f := range s.Flags {
		o.Flags = append(o.Flags, rspec.LinuxSeccompFlag(f))
	}
	return o
}

func ociResources(r *api.LinuxResources) *rspec.LinuxResources {
	if r == nil {
		return nil
	}
	o := &rspec.LinuxResources{Unified: api.DupStringMap(r.GetUnified()), CPU: &rspec.LinuxCPU{}, Memory: &rspec.LinuxMemory{}}
	if c := r.GetCpu(); c != nil {
		o.CPU = &rspec.LinuxCPU{Shares: c.GetShares().Get(), Quota: c.GetQuota().Get(), Period: c.GetPeriod().Get(),
			RealtimeRuntime: c.GetRealtimeRuntime().Get(), RealtimePeriod: c.GetRealtimePeriod().Get(), Cpus: c.GetCpus(), Mems: c.GetMems()}
	}
	if m := r.GetMemory(); m != nil {
		o.Memory = &rspec.LinuxMemory{Limit: m.GetLimit().Get(), Swap: m.GetSwap().Get(), Reservation: m.GetReservation().Get()}
	}
	for _, h := range r.GetHugepageLimits() {
		o.HugepageLimits = append(o.HugepageLimits, rspec.LinuxHugepageLimit{Pagesize: h.GetPageSize(), Limit: h.GetLimit()})
	}
	if p := r.GetPids(); p != nil {
		v := p.GetLimit()
		o.Pids = &rspec.LinuxPids{Limit: &v}
	}
	for _, d := range r.GetDevices() {
		o.Devices = append(o.Devices, rspec.LinuxDeviceCgroup{Allow: d.Allow, Type: d.Type, Major: d.Major.Get(), Minor: d.Minor.Get(), Access: d.Access})
	}
	return o
}
