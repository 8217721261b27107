package nri

import (
	"slices"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
)

// devices records what happens at each path, and the rule of the device cgroup
// that the generator adds for every device it is told to add.
func (x *builder) devices(adjust, old []*api.LinuxDevice) {
	if len(adjust) == 0 {
		return
	}
	after := slices.Clone(old)
	for i, d := range adjust {
		raw, marked := api.IsMarkedForRemoval(d.GetPath())
		if j := slices.IndexFunc(after, func(o *api.LinuxDevice) bool { return o.GetPath() == raw }); j >= 0 {
			after = slices.Delete(slices.Clone(after), j, j+1)
		}
		if marked || d == nil {
			continue
		}
		if d.GetPath() == "" {
			x.malformed("a device without path")
		}
		after = append(after, d)
		x.add(engine.Change{Op: engine.Add, Field: engine.DeviceCgroup, Value: impliedRule(d), Position: i,
			ImpliedBy: insideRoot(d.GetPath())}, compound(api.Field_Devices, d.GetPath()))
	}
	for _, p := range changedAt(old, after, func(d *api.LinuxDevice) string { return insideRoot(d.GetPath()) }, sameDevice) {
		var before any
		if p.hasOld {
			before = x.device(p.old)
		}
		if len(p.added) == 0 {
			x.diff(engine.DeviceNode, p.key, before, nil, compound(api.Field_Devices, p.old.GetPath()))
		}
		for _, d := range p.added {
			x.diff(engine.DeviceNode, p.key, before, x.device(d), compound(api.Field_Devices, d.GetPath()))
		}
	}
}

func sameDevice(a, b *api.LinuxDevice) bool { return proto.Equal(a, b) }

func (x *builder) device(d *api.LinuxDevice) *engine.Device {
	v := &engine.Device{Type: d.GetType(), Major: d.GetMajor(), Minor: d.GetMinor(),
		HostPaths: x.nodes.of(x.host(), d.GetType(), d.GetMajor(), d.GetMinor())}
	if d.GetFileMode() != nil {
		v.FileMode = new(d.GetFileMode().GetValue())
	}
	if d.GetUid() != nil {
		v.UID = new(d.GetUid().GetValue())
	}
	if d.GetGid() != nil {
		v.GID = new(d.GetGid().GetValue())
	}
	return v
}

// impliedRule is the rule that the generator adds for a device by itself.
func impliedRule(d *api.LinuxDevice) *engine.DeviceRule {
	return &engine.DeviceRule{Allow: true, Type: d.GetType(), Major: new(d.GetMajor()), Minor: new(d.GetMinor()), Access: d.AccessString()}
}

// deviceRules are only ever appended.
func (x *builder) deviceRules(rules []*api.LinuxDeviceCgroup) {
	for i, r := range rules {
		x.add(engine.Change{Op: engine.Add, Field: engine.DeviceCgroup, Value: ruleValue(r), Position: i}, nobody)
	}
}
