package nri

import (
	"fmt"
	"slices"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nri-guard/nri-guard/engine"
)

// strip implements [engine.Review.Strip]: it takes what the changes stem from out
// of a copy of the messages and makes the review anew, so that what is judged again
// is what will be applied.
func strip(r *engine.Review, ids []string) (*engine.Review, error) {
	m, ok := r.Messages.(messages)
	if !ok {
		return nil, fmt.Errorf("the review was not made from messages")
	}
	m = m.clone()
	for _, id := range ids {
		c := r.Change(id)
		if c == nil {
			return nil, fmt.Errorf("there is no change %q", id)
		}
		if err := m.takeOut(r, c); err != nil {
			return nil, err
		}
	}
	m.drop()
	before := m.claims
	rest := m.build(m)
	rest.Messages = rest.Messages.(messages).disown(before)
	for _, id := range ids {
		c := r.Change(id)
		if left := slices.IndexFunc(rest.Changes, func(o *engine.Change) bool { return sameThing(c, o) }); left >= 0 {
			return nil, fmt.Errorf("%s is still there when it is taken out", c)
		}
	}
	return rest, nil
}

// sameThing says whether two changes of different reviews are about one thing that
// has a name. Of lists without names several may say the same.
func sameThing(a, b *engine.Change) bool {
	switch a.Field {
	case engine.OCIHook, engine.DeviceCgroup:
		return false
	}
	return a.Field == b.Field && a.Key == b.Key && a.Container == b.Container
}

// takeOut removes what a change stems from. Elements of lists without names are
// only cleared, so that positions stay what they are; drop removes them.
func (m *messages) takeOut(r *engine.Review, c *engine.Change) error {
	switch {
	case c.Field == engine.Eviction:
		m.evict[c.Position] = nil
		return nil
	case c.Field == engine.Unknown:
		m.takeOutUnknown()
		return nil
	case c.Container != r.Container.GetId() || r.Operation != engine.CreateContainer:
		return m.takeOutOfUpdates(c)
	}
	if m.adjust == nil {
		return fmt.Errorf("%s stems from no message", c)
	}
	return takeOutOfAdjustment(m.adjust, c)
}

// takeOutUnknown clears all fields that are not known: one of them alone may be
// half of something.
func (m *messages) takeOutUnknown() {
	if m.adjust != nil {
		clearUnknown(m.adjust.ProtoReflect())
	}
	for _, u := range m.update {
		clearUnknown(u.ProtoReflect())
	}
	for _, e := range m.evict {
		clearUnknown(e.ProtoReflect())
	}
}

func clearUnknown(m protoreflect.Message) {
	if !m.IsValid() {
		return
	}
	m.SetUnknown(nil)
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() && f.MapValue().Kind() == protoreflect.MessageKind:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				clearUnknown(v.Message())
				return true
			})
		case f.IsList() && f.Kind() == protoreflect.MessageKind:
			for i := range v.List().Len() {
				clearUnknown(v.List().Get(i).Message())
			}
		case !f.IsMap() && !f.IsList() && f.Kind() == protoreflect.MessageKind:
			clearUnknown(v.Message())
		}
		return true
	})
}

// takeOutOfUpdates gives back what the runtime itself requested, or nothing.
func (m *messages) takeOutOfUpdates(c *engine.Change) error {
	for _, u := range m.update {
		r := u.GetLinux().GetResources()
		if u.GetContainerId() != c.Container || r == nil {
			continue
		}
		if c.Field == engine.DeviceCgroup {
			takeOutRule(r, c)
			continue
		}
		resetLimit(r, m.requested, c.Key)
	}
	return nil
}

// drop removes what takeOut has cleared.
func (m *messages) drop() {
	m.evict = slices.DeleteFunc(m.evict, func(e *api.ContainerEviction) bool { return e == nil })
	m.update = slices.DeleteFunc(m.update, func(u *api.ContainerUpdate) bool {
		return len(allLimits(u.GetLinux().GetResources())) == 0 && len(u.GetLinux().GetResources().GetDevices()) == 0
	})
	for _, stage := range hookStages(m.adjust.GetHooks()) {
		*stage.list = slices.DeleteFunc(stage.hooks, func(h *api.Hook) bool { return h == nil })
	}
	dropRules(m.adjust.GetLinux().GetResources())
	for _, u := range m.update {
		dropRules(u.GetLinux().GetResources())
	}
}

func dropRules(r *api.LinuxResources) {
	if r != nil {
		r.Devices = slices.DeleteFunc(r.Devices, func(d *api.LinuxDeviceCgroup) bool { return d == nil })
	}
}

func takeOutRule(r *api.LinuxResources, c *engine.Change) {
	if c.Position < len(r.GetDevices()) {
		r.Devices[c.Position] = nil
	}
}
