package nri

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nri-guard/nri-guard/engine"
)

// inspect goes through a whole message for what the field by field conversion
// cannot see: fields and enumerators that this build does not know, elements that
// are missing, and strings that no system call takes.
func (x *builder) inspect(name string, m proto.Message) {
	if !m.ProtoReflect().IsValid() {
		return
	}
	if !allListed {
		x.inspectAny(where{name}, m.ProtoReflect())
		return
	}
	var room [8]string // deeper than messages are
	w := append(where(room[:0]), name)
	switch m := m.(type) {
	case *api.ContainerAdjustment:
		x.inspectAdjustment(w, m)
	case *api.ContainerUpdate:
		x.inspectUpdate(w, m)
	case *api.ContainerEviction:
		x.inspectEviction(w, m)
	}
}

// where is a place in a message, written out only when there is something to say
// about it.
type where []string

func (w where) String() string { return strings.Join(w, ".") }

// inspectAny goes through any message, by what protobuf knows of it.
func (x *builder) inspectAny(w where, m protoreflect.Message) {
	x.inspectUnknown(w, m.Interface())
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				x.inspectString(w, f.JSONName(), k.String())
				x.inspectValue(w, f, f.MapValue(), v)
				return true
			})
		case f.IsList():
			list := v.List()
			for i := range list.Len() {
				x.inspectValue(w, f, f, list.Get(i))
			}
		default:
			x.inspectValue(w, f, f, v)
		}
		return true
	})
}

// inspectValue looks at one value of the field; kind describes it where the field
// is a map.
func (x *builder) inspectValue(w where, field, kind protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch kind.Kind() {
	case protoreflect.MessageKind:
		switch {
		case v.Message().IsValid():
			x.inspectAny(append(w, field.JSONName()), v.Message())
		case !field.IsMap(): // a network device is removed by a name without a message
			x.inspectElement(w, field.JSONName(), false)
		}
	case protoreflect.StringKind:
		x.inspectString(w, field.JSONName(), v.String())
	case protoreflect.EnumKind:
		x.inspectEnum(w, field.JSONName(), int32(v.Enum()), kind.Enum().Values().ByNumber(v.Enum()) != nil)
	}
}

// inspectElement says whether an element of a list is there.
func (x *builder) inspectElement(w where, field string, there bool) bool {
	if !there {
		x.missing = true
		x.malformed("%s.%s has an element that is missing", w.String(), field)
	}
	return there
}

// inspectString does not repeat the text, which may be the value of a variable.
func (x *builder) inspectString(w where, field, s string) {
	switch {
	case strings.IndexByte(s, 0) >= 0:
		x.malformed("%s.%s holds a NUL byte", w.String(), field)
	case !utf8.ValidString(s):
		x.malformed("%s.%s is not valid UTF-8", w.String(), field)
	}
}

func (x *builder) inspectStrings(w where, field string, list []string) {
	for _, s := range list {
		x.inspectString(w, field, s)
	}
}

func (x *builder) inspectStringMap(w where, field string, m map[string]string) {
	for k, v := range m {
		x.inspectString(w, field, k)
		x.inspectString(w, field, v)
	}
}

func (x *builder) inspectEnum(w where, field string, n int32, known bool) {
	if !known {
		x.unknown(w.String()+"."+field+"="+strconv.Itoa(int(n)), 1)
	}
}

// inspectUnknown records the fields that a newer NRI has.
func (x *builder) inspectUnknown(w where, m proto.Message) {
	for raw := m.ProtoReflect().GetUnknown(); len(raw) > 0; {
		number, _, n := protowire.ConsumeField(raw)
		if n < 0 {
			x.malformed("%s ends in the middle of a field", w.String())
			return
		}
		x.unknown(w.String()+"#"+strconv.Itoa(int(number)), n)
		raw = raw[n:]
	}
}

func (x *builder) unknown(key string, size int) {
	x.add(engine.Change{Op: engine.Add, Field: engine.Unknown, Key: key, Value: int64(size)}, nobody)
}
