package guest_test

import (
	"iter"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nri-guard/nri-guard/wasm-examples/go/guest"
)

// withoutAccessor are the fields of NRI's messages that the package has no name for.
// A message that is not in here has accessors for all its fields.
var withoutAccessor = map[protoreflect.Name][]protoreflect.Name{
	"ValidateContainerAdjustmentRequest": {"owners"},
	"PodSandbox":                         {"linux", "pid", "ips"},
	"Container": {"pod_sandbox_id", "state", "pid", "created_at", "started_at", "finished_at",
		"exit_code", "status_reason", "status_message", "user", "image"},
	"LinuxContainer": {"oom_score_adj", "cgroups_path", "io_priority", "seccomp_profile", "seccomp_policy",
		"sysctl", "net_devices", "scheduler", "rdt"},
	"LinuxContainerAdjustment": {"io_priority", "seccomp_policy", "net_devices", "scheduler", "rdt", "memory_policy"},
	"ContainerUpdate":          {"ignore_failure"},
	"LinuxMemory":              {"kernel", "kernel_tcp", "swappiness", "disable_oom_killer", "use_hierarchy"},
	"LinuxCPU":                 {"realtime_runtime", "realtime_period"},
}

// read makes NRI's message of what the accessors say.
func read(r *guest.Request) *api.ValidateContainerAdjustmentRequest {
	a := r.Adjust()
	return &api.ValidateContainerAdjustmentRequest{
		Pod: &api.PodSandbox{
			Id: r.Pod().ID(), Name: r.Pod().Name(), Uid: r.Pod().UID(), Namespace: r.Pod().Namespace(),
			Labels: r.Pod().Labels(), Annotations: r.Pod().Annotations(), RuntimeHandler: r.Pod().RuntimeHandler(),
		},
		Container: container(r.Container()),
		Adjust: &api.ContainerAdjustment{
			Annotations: a.Annotations(),
			Mounts:      list(a.Mounts(), mount),
			Env:         list(a.Env(), func(v guest.Variable) *api.KeyValue { return &api.KeyValue{Key: v.Name(), Value: v.Value()} }),
			Hooks:       hooks(a.Hooks()),
			Rlimits:     list(a.Rlimits(), rlimit),
			CDIDevices:  list(a.CDIDevices(), cdi),
			Args:        list(a.Args(), same),
			Linux: &api.LinuxContainerAdjustment{
				Devices:     list(a.Linux().Devices(), device),
				Resources:   resources(a.Linux().Resources()),
				CgroupsPath: a.Linux().CgroupsPath(),
				OomScoreAdj: optionalInt(a.Linux().OOMScoreAdj()),
				Namespaces:  list(a.Linux().Namespaces(), namespace),
				Sysctl:      a.Linux().Sysctl(),
			},
		},
		Update: list(r.Updates(), func(u guest.Update) *api.ContainerUpdate {
			return &api.ContainerUpdate{ContainerId: u.ContainerID(), Linux: &api.LinuxContainerUpdate{Resources: resources(u.Resources())}}
		}),
		Plugins: list(r.Plugins(), func(p guest.Plugin) *api.PluginInstance {
			return &api.PluginInstance{Name: p.Name(), Index: p.Index()}
		}),
	}
}

func container(c guest.Container) *api.Container {
	return &api.Container{
		Id: c.ID(), Name: c.Name(), Labels: c.Labels(), Annotations: c.Annotations(),
		Args: list(c.Args(), same), Env: list(c.Env(), same), Mounts: list(c.Mounts(), mount), Hooks: hooks(c.Hooks()),
		Rlimits: list(c.Rlimits(), rlimit), CDIDevices: list(c.CDIDevices(), cdi),
		Linux: &api.LinuxContainer{
			Namespaces: list(c.Namespaces(), namespace), Devices: list(c.Devices(), device), Resources: resources(c.Resources()),
		},
	}
}

func resources(r guest.Resources) *api.LinuxResources {
	out := &api.LinuxResources{
		Memory: &api.LinuxMemory{
			Limit: api.Int64(optional(r.MemoryLimit())), Reservation: api.Int64(optional(r.MemoryReservation())), Swap: api.Int64(optional(r.MemorySwap())),
		},
		Cpu: &api.LinuxCPU{
			Shares: api.UInt64(optional(r.CPUShares())), Quota: api.Int64(optional(r.CPUQuota())), Period: api.UInt64(optional(r.CPUPeriod())),
			Cpus: r.CPUs(), Mems: r.Mems(),
		},
		BlockioClass: api.String(optional(r.BlockIOClass())), RdtClass: api.String(optional(r.RDTClass())),
		Unified: r.Unified(),
		Devices: list(r.DeviceRules(), func(d guest.DeviceRule) *api.LinuxDeviceCgroup {
			return &api.LinuxDeviceCgroup{Allow: d.Allow(), Type: d.Type(), Major: api.Int64(optional(d.Major())), Minor: api.Int64(optional(d.Minor())), Access: d.Access()}
		}),
	}
	for size, limit := range r.Hugepages() {
		out.HugepageLimits = append(out.HugepageLimits, &api.HugepageLimit{PageSize: size, Limit: limit})
	}
	if limit, ok := r.PidsLimit(); ok {
		out.Pids = &api.LinuxPids{Limit: limit}
	}
	return out
}

func hooks(stages iter.Seq2[string, guest.Hook]) *api.Hooks {
	out := &api.Hooks{}
	for stage, h := range stages {
		to := map[string]*[]*api.Hook{
			"prestart": &out.Prestart, "createRuntime": &out.CreateRuntime, "createContainer": &out.CreateContainer,
			"startContainer": &out.StartContainer, "poststart": &out.Poststart, "poststop": &out.Poststop,
		}[stage]
		*to = append(*to, &api.Hook{Path: h.Path(), Args: list(h.Args(), same), Env: list(h.Env(), same), Timeout: optionalInt(h.Timeout())})
	}
	return out
}

func mount(m guest.Mount) *api.Mount {
	return &api.Mount{Destination: m.Destination(), Type: m.Type(), Source: m.Source(), Options: list(m.Options(), same)}
}

func device(d guest.Device) *api.LinuxDevice {
	out := &api.LinuxDevice{Path: d.Path(), Type: d.Type(), Major: d.Major(), Minor: d.Minor()}
	if v, ok := d.FileMode(); ok {
		out.FileMode = &api.OptionalFileMode{Value: uint32(v)}
	}
	if v, ok := d.UID(); ok {
		out.Uid = &api.OptionalUInt32{Value: uint32(v)}
	}
	if v, ok := d.GID(); ok {
		out.Gid = &api.OptionalUInt32{Value: uint32(v)}
	}
	return out
}

func rlimit(r guest.Rlimit) *api.POSIXRlimit {
	return &api.POSIXRlimit{Type: r.Type(), Hard: r.Hard(), Soft: r.Soft()}
}

func namespace(n guest.Namespace) *api.LinuxNamespace {
	return &api.LinuxNamespace{Type: n.Type(), Path: n.Path()}
}

func cdi(name string) *api.CDIDevice { return &api.CDIDevice{Name: name} }

func same(s string) string { return s }

func list[A, B any](all iter.Seq[A], convert func(A) B) (out []B) {
	for one := range all {
		out = append(out, convert(one))
	}
	return out
}

// optional is what NRI's functions for optional values take: nil for none.
func optional[T any](value T, ok bool) any {
	if !ok {
		return nil
	}
	return value
}

func optionalInt(value int64, ok bool) *api.OptionalInt {
	if !ok {
		return nil
	}
	return &api.OptionalInt{Value: value}
}

// normal takes out of a message what has no accessor, and puts an empty message
// wherever there is none but accessors cannot tell.
func normal(m proto.Message) proto.Message {
	prune(m.ProtoReflect())
	fill(m.ProtoReflect())
	return m
}

func prune(m protoreflect.Message) {
	m.SetUnknown(nil)
	for _, name := range withoutAccessor[m.Descriptor().Name()] {
		m.Clear(m.Descriptor().Fields().ByName(name))
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil || f.IsMap():
		case f.IsList():
			for i := range v.List().Len() {
				prune(v.List().Get(i).Message())
			}
		default:
			prune(v.Message())
		}
		return true
	})
}

// sections are messages that only hold others together.
var sections = map[protoreflect.Name]bool{
	"PodSandbox": true, "Container": true, "ContainerAdjustment": true, "LinuxContainer": true, "LinuxContainerAdjustment": true,
	"LinuxContainerUpdate": true, "LinuxResources": true, "LinuxMemory": true, "LinuxCPU": true, "Hooks": true,
}

func fill(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	skipped := map[protoreflect.Name]bool{}
	for _, name := range withoutAccessor[m.Descriptor().Name()] {
		skipped[name] = true
	}
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.Message() == nil || f.IsMap() || skipped[f.Name()]:
		case f.IsList():
			for i := range m.Get(f).List().Len() {
				fill(m.Get(f).List().Get(i).Message())
			}
		case sections[f.Message().Name()]:
			fill(m.Mutable(f).Message())
		}
	}
}
