package nri

import (
	"slices"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// TestInspectionMissesNothing: what goes by the names of fields finds, in messages
// in which everything is wrong, all that is found by what protobuf knows of them.
func TestInspectionMissesNothing(t *testing.T) {
	if !allListed {
		t.Error("there are fields that are not listed")
	}
	for _, m := range []proto.Message{&api.ContainerAdjustment{}, &api.ContainerUpdate{}, &api.ContainerEviction{}} {
		spoil(m.ProtoReflect())
		listed, any := (&Border{}).start("", nil, nil), (&Border{}).start("", nil, nil)
		listed.inspect("m", m)
		any.inspectAny(where{"m"}, m.ProtoReflect())
		if diff := cmp.Diff(findings(any), findings(listed)); diff != "" || len(findings(any)) == 0 {
			t.Error(diff)
		}
	}
}

// spoil sets every field to what is to be found, with one element in each list.
func spoil(m protoreflect.Message) {
	m.SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 4000, protowire.VarintType), 1))
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		switch {
		case f.IsMap():
			v := m.Mutable(f).Map().NewValue()
			if f.MapValue().Kind() == protoreflect.MessageKind {
				spoil(v.Message())
			} else {
				v = protoreflect.ValueOfString("\xff")
			}
			m.Mutable(f).Map().Set(protoreflect.ValueOfString("\x00").MapKey(), v)
		case f.IsList():
			v := m.Mutable(f).List().NewElement()
			m.Mutable(f).List().Append(spoiled(f, v))
		case f.Kind() == protoreflect.MessageKind:
			spoil(m.Mutable(f).Message())
		default:
			m.Set(f, spoiled(f, m.Get(f)))
		}
	}
}

func spoiled(f protoreflect.FieldDescriptor, v protoreflect.Value) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.MessageKind:
		spoil(v.Message())
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("\x00")
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(99)
	}
	return v
}

func findings(x *builder) []string {
	list := slices.Clone(x.review.Malformed)
	for _, c := range x.review.Changes {
		list = append(list, c.Key)
	}
	slices.Sort(list)
	return list
}

// TestInspectionOfAnotherNRI: a message of which there is more than is listed.
func TestInspectionOfAnotherNRI(t *testing.T) {
	if isListed(map[protoreflect.Name]bool{}, &api.Container{}) {
		t.Error("containers are not listed")
	}
}
