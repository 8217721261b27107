package nri

import (
	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Messages are inspected at each request. To go by what protobuf knows of them takes
// several times as long as to name their fields, most of all when little of that is
// in the processor's caches. So they are named here.

// listed are the messages whose fields are named below, with how many they have.
var listed = map[protoreflect.Name]int{
	"CDIDevice": 1, "ContainerAdjustment": 8, "ContainerEviction": 2, "ContainerUpdate": 3, "Hook": 4, "Hooks": 6, "HugepageLimit": 2,
	"KeyValue": 2, "LinuxCPU": 7, "LinuxContainerAdjustment": 12, "LinuxContainerUpdate": 1, "LinuxDevice": 7, "LinuxDeviceCgroup": 5,
	"LinuxIOPriority": 2, "LinuxMemory": 8, "LinuxMemoryPolicy": 3, "LinuxNamespace": 2, "LinuxNetDevice": 1, "LinuxPids": 1, "LinuxRdt": 4,
	"LinuxResources": 8, "LinuxScheduler": 7, "LinuxSeccomp": 7, "LinuxSeccompArg": 4, "LinuxSyscall": 4, "Mount": 4, "OptionalBool": 1,
	"OptionalFileMode": 1, "OptionalInt": 1, "OptionalInt64": 1, "OptionalRepeatedString": 1, "OptionalString": 1, "OptionalUInt32": 1,
	"OptionalUInt64": 1, "POSIXRlimit": 3,
}

// allListed is false where the program has been built with another NRI, whose
// messages have more fields: then none must go by unseen.
var allListed = isListed(map[protoreflect.Name]bool{},
	(*api.ContainerAdjustment)(nil), (*api.ContainerUpdate)(nil), (*api.ContainerEviction)(nil))

func isListed(seen map[protoreflect.Name]bool, messages ...proto.Message) bool {
	for _, m := range messages {
		if !fieldsListed(seen, m.ProtoReflect().Descriptor()) {
			return false
		}
	}
	return true
}

func fieldsListed(seen map[protoreflect.Name]bool, d protoreflect.MessageDescriptor) bool {
	if seen[d.Name()] {
		return true
	}
	seen[d.Name()] = true
	if !d.IsMapEntry() && listed[d.Name()] != d.Fields().Len() {
		return false
	}
	for i := range d.Fields().Len() {
		if m := d.Fields().Get(i).Message(); m != nil && !fieldsListed(seen, m) {
			return false
		}
	}
	return true
}

func (x *builder) inspectAdjustment(w where, m *api.ContainerAdjustment) {
	x.inspectUnknown(w, m)
	x.inspectStringMap(w, "annotations", m.Annotations)
	for _, e := range m.Mounts {
		if x.inspectElement(w, "mounts", e != nil) {
			x.inspectMount(append(w, "mounts"), e)
		}
	}
	for _, e := range m.Env {
		if x.inspectElement(w, "env", e != nil) {
			x.inspectKeyValue(append(w, "env"), e)
		}
	}
	if m.Hooks != nil {
		x.inspectHooks(append(w, "hooks"), m.Hooks)
	}
	if m.Linux != nil {
		x.inspectLinux(append(w, "linux"), m.Linux)
	}
	for _, e := range m.Rlimits {
		if x.inspectElement(w, "rlimits", e != nil) {
			x.inspectRlimit(append(w, "rlimits"), e)
		}
	}
	for _, e := range m.CDIDevices {
		if x.inspectElement(w, "CDIDevices", e != nil) {
			x.inspectCDIDevice(append(w, "CDIDevices"), e)
		}
	}
	x.inspectStrings(w, "args", m.Args)
}

func (x *builder) inspectUpdate(w where, m *api.ContainerUpdate) {
	x.inspectUnknown(w, m)
	x.inspectString(w, "containerId", m.ContainerId)
	if m.Linux == nil {
		return
	}
	w = append(w, "linux")
	x.inspectUnknown(w, m.Linux)
	if m.Linux.Resources != nil {
		x.inspectResources(append(w, "resources"), m.Linux.Resources)
	}
}

func (x *builder) inspectEviction(w where, m *api.ContainerEviction) {
	x.inspectUnknown(w, m)
	x.inspectString(w, "containerId", m.ContainerId)
	x.inspectString(w, "reason", m.Reason)
}

func (x *builder) inspectMount(w where, m *api.Mount) {
	x.inspectUnknown(w, m)
	x.inspectString(w, "destination", m.Destination)
	x.inspectString(w, "type", m.Type)
	x.inspectString(w, "source", m.Source)
	x.inspectStrings(w, "options", m.Options)
}

func (x *builder) inspectKeyValue(w where, m *api.KeyValue) {
	x.inspectUnknown(w, m)
	x.inspectString(w, "key", m.Key)
	x.inspectString(w, "value", m.Value)
}

func (x *builder) inspectHooks(w where, m *api.Hooks) {
	x.inspectUnknown(w, m)
	for _, stage := range hookStages(m) {
		for _, e := range stage.hooks {
			if x.inspectElement(w, stage.name, e != nil) {
				x.inspectHook(append(w, stage.name), e)
			}
		}
	}
}

func (x *builder) inspectHook(w where, m *api.Hook) {
	x.inspectUnknown(w, m)
	x.inspectString(w, "path", m.Path)
	x.inspectStrings(w, "args", m.Args)
	x.inspectStrings(w, "env", m.Env)
	inspectSmall(x, w, "timeout", m.Timeout)
}

func (x *builder) inspectRlimit(w where, m *api.POSIXRlimit) {
	x.inspectUnknown(w, m)
	x.inspectString(w, "type", m.Type)
}

func (x *builder) inspectCDIDevice(w where, m *api.CDIDevice) {
	x.inspectUnknown(w, m)
	x.inspectString(w, "name", m.Name)
}

func (x *builder) inspectLinux(w where, m *api.LinuxContainerAdjustment) {
	x.inspectUnknown(w, m)
	for _, e := range m.Devices {
		if x.inspectElement(w, "devices", e != nil) {
			x.inspectDevice(append(w, "devices"), e)
		}
	}
	if m.Resources != nil {
		x.inspectResources(append(w, "resources"), m.Resources)
	}
	x.inspectString(w, "cgroupsPath", m.CgroupsPath)
	inspectSmall(x, w, "oomScoreAdj", m.OomScoreAdj)
	if m.IoPriority != nil {
		x.inspectIOPriority(append(w, "ioPriority"), m.IoPriority)
	}
	if m.SeccompPolicy != nil {
		x.inspectSeccomp(append(w, "seccompPolicy"), m.SeccompPolicy)
	}
	for _, e := range m.Namespaces {
		if x.inspectElement(w, "namespaces", e != nil) {
			x.inspectNamespace(append(w, "namespaces"), e)
		}
	}
	x.inspectStringMap(w, "sysctl", m.Sysctl)
	x.inspectNetDevices(w, m.NetDevices)
	if m.Scheduler != nil {
		x.inspectScheduler(append(w, "scheduler"), m.Scheduler)
	}
	if m.Rdt != nil {
		x.inspectRDT(append(w, "rdt"), m.Rdt)
	}
	if m.MemoryPolicy != nil {
		x.inspectMemoryPolicy(append(w, "memoryPolicy"), m.MemoryPolicy)
	}
}

func (x *builder) inspectDevice(w where, m *api.LinuxDevice) {
	x.inspectUnknown(w, m)
	x.inspectString(w, "path", m.Path)
	x.inspectString(w, "type", m.Type)
	inspectSmall(x, w, "fileMode", m.FileMode)
	inspectSmall(x, w, "uid", m.Uid)
	inspectSmall(x, w, "gid", m.Gid)
}

func (x *builder) inspectResources(w where, m *api.LinuxResources) {
	x.inspectUnknown(w, m)
	if m.Memory != nil {
		x.inspectMemory(append(w, "memory"), m.Memory)
	}
	if m.Cpu != nil {
		x.inspectCPU(append(w, "cpu"), m.Cpu)
	}
	for _, e := range m.HugepageLimits {
		if x.inspectElement(w, "hugepageLimits", e != nil) {
			v := append(w, "hugepageLimits")
			x.inspectUnknown(v, e)
			x.inspectString(v, "pageSize", e.PageSize)
		}
	}
	inspectSmall(x, w, "blockioClass", m.BlockioClass)
	x.inspectString(append(w, "blockioClass"), "value", m.BlockioClass.GetValue())
	inspectSmall(x, w, "rdtClass", m.RdtClass)
	x.inspectString(append(w, "rdtClass"), "value", m.RdtClass.GetValue())
	x.inspectStringMap(w, "unified", m.Unified)
	for _, e := range m.Devices {
		if x.inspectElement(w, "devices", e != nil) {
			x.inspectDeviceCgroup(append(w, "devices"), e)
		}
	}
	inspectSmall(x, w, "pids", m.Pids)
}

func (x *builder) inspectMemory(w where, m *api.LinuxMemory) {
	x.inspectUnknown(w, m)
	inspectSmall(x, w, "limit", m.Limit)
	inspectSmall(x, w, "reservation", m.Reservation)
	inspectSmall(x, w, "swap", m.Swap)
	inspectSmall(x, w, "kernel", m.Kernel)
	inspectSmall(x, w, "kernelTcp", m.KernelTcp)
	inspectSmall(x, w, "swappiness", m.Swappiness)
	inspectSmall(x, w, "disableOomKiller", m.DisableOomKiller)
	inspectSmall(x, w, "useHierarchy", m.UseHierarchy)
}

func (x *builder) inspectCPU(w where, m *api.LinuxCPU) {
	x.inspectUnknown(w, m)
	inspectSmall(x, w, "shares", m.Shares)
	inspectSmall(x, w, "quota", m.Quota)
	inspectSmall(x, w, "period", m.Period)
	inspectSmall(x, w, "realtimeRuntime", m.RealtimeRuntime)
	inspectSmall(x, w, "realtimePeriod", m.RealtimePeriod)
	x.inspectString(w, "cpus", m.Cpus)
	x.inspectString(w, "mems", m.Mems)
}

func (x *builder) inspectDeviceCgroup(w where, m *api.LinuxDeviceCgroup) {
	x.inspectUnknown(w, m)
	x.inspectString(w, "type", m.Type)
	inspectSmall(x, w, "major", m.Major)
	inspectSmall(x, w, "minor", m.Minor)
	x.inspectString(w, "access", m.Access)
}

func (x *builder) inspectIOPriority(w where, m *api.LinuxIOPriority) {
	x.inspectUnknown(w, m)
	_, known := api.IOPrioClass_name[int32(m.Class)]
	x.inspectEnum(w, "class", int32(m.Class), known)
}

func (x *builder) inspectSeccomp(w where, m *api.LinuxSeccomp) {
	x.inspectUnknown(w, m)
	x.inspectString(w, "defaultAction", m.DefaultAction)
	inspectSmall(x, w, "defaultErrno", m.DefaultErrno)
	x.inspectStrings(w, "architectures", m.Architectures)
	x.inspectStrings(w, "flags", m.Flags)
	x.inspectString(w, "listenerPath", m.ListenerPath)
	x.inspectString(w, "listenerMetadata", m.ListenerMetadata)
	for _, e := range m.Syscalls {
		if x.inspectElement(w, "syscalls", e != nil) {
			x.inspectSyscall(append(w, "syscalls"), e)
		}
	}
}

func (x *builder) inspectSyscall(w where, m *api.LinuxSyscall) {
	x.inspectUnknown(w, m)
	x.inspectStrings(w, "names", m.Names)
	x.inspectString(w, "action", m.Action)
	inspectSmall(x, w, "errnoRet", m.ErrnoRet)
	for _, e := range m.Args {
		if x.inspectElement(w, "args", e != nil) {
			v := append(w, "args")
			x.inspectUnknown(v, e)
			x.inspectString(v, "op", e.Op)
		}
	}
}

func (x *builder) inspectNamespace(w where, m *api.LinuxNamespace) {
	x.inspectUnknown(w, m)
	x.inspectString(w, "type", m.Type)
	x.inspectString(w, "path", m.Path)
}

// inspectNetDevices knows that a network device is removed by a name without a
// message.
func (x *builder) inspectNetDevices(w where, m map[string]*api.LinuxNetDevice) {
	for k, e := range m {
		x.inspectString(w, "netDevices", k)
		if e != nil {
			v := append(w, "netDevices")
			x.inspectUnknown(v, e)
			x.inspectString(v, "name", e.Name)
		}
	}
}

func (x *builder) inspectScheduler(w where, m *api.LinuxScheduler) {
	x.inspectUnknown(w, m)
	_, known := api.LinuxSchedulerPolicy_name[int32(m.Policy)]
	x.inspectEnum(w, "policy", int32(m.Policy), known)
	for _, f := range m.Flags {
		_, known := api.LinuxSchedulerFlag_name[int32(f)]
		x.inspectEnum(w, "flags", int32(f), known)
	}
}

func (x *builder) inspectRDT(w where, m *api.LinuxRdt) {
	x.inspectUnknown(w, m)
	inspectSmall(x, w, "closId", m.ClosId)
	x.inspectString(append(w, "closId"), "value", m.ClosId.GetValue())
	inspectSmall(x, w, "schemata", m.Schemata)
	x.inspectStrings(append(w, "schemata"), "value", m.Schemata.GetValue())
	inspectSmall(x, w, "enableMonitoring", m.EnableMonitoring)
}

func (x *builder) inspectMemoryPolicy(w where, m *api.LinuxMemoryPolicy) {
	x.inspectUnknown(w, m)
	_, known := api.MpolMode_name[int32(m.Mode)]
	x.inspectEnum(w, "mode", int32(m.Mode), known)
	x.inspectString(w, "nodes", m.Nodes)
	for _, f := range m.Flags {
		_, known := api.MpolFlag_name[int32(f)]
		x.inspectEnum(w, "flags", int32(f), known)
	}
}

// inspectSmall looks at a message, if it is there, for what its strings do not tell.
func inspectSmall[E any, M interface {
	*E
	proto.Message
}](x *builder, w where, field string, m M) {
	if m != nil {
		x.inspectUnknown(append(w, field), m)
	}
}
