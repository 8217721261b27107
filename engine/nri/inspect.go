package nri

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nri-guard/nri-guard/engine"
)

// inspect goes through a whole message for what the field by field conversion
// cannot see: fields and enumerators that this build does not know, elements that
// are missing, and strings that no system call takes.
func (x *builder) inspect(name string, m proto.Message) {
	if r := m.ProtoReflect(); r.IsValid() {
		x.inspectMessage(&where{name: name}, r)
	}
}

// where is a place in a message, written out only when there is something to say
// about it.
type where struct {
	up   *where
	name string
}

func (w *where) String() string {
	if w.up == nil {
		return w.name
	}
	return w.up.String() + "." + w.name
}

func (x *builder) inspectMessage(w *where, m protoreflect.Message) {
	if raw := m.GetUnknown(); len(raw) > 0 {
		x.unknownFields(w.String(), raw)
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				x.inspectString(w, f, k.String())
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
func (x *builder) inspectValue(w *where, field, kind protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch kind.Kind() {
	case protoreflect.MessageKind:
		switch {
		case v.Message().IsValid():
			x.inspectMessage(&where{up: w, name: field.JSONName()}, v.Message())
		case !field.IsMap(): // a network device is removed by a name without a message
			x.missing = true
			x.malformed("%s.%s has an element that is missing", w, field.JSONName())
		}
	case protoreflect.StringKind:
		x.inspectString(w, field, v.String())
	case protoreflect.EnumKind:
		if kind.Enum().Values().ByNumber(v.Enum()) == nil {
			x.unknown(w.String()+"."+field.JSONName()+"="+strconv.Itoa(int(v.Enum())), 1)
		}
	}
}

// inspectString does not repeat the text, which may be the value of a variable.
func (x *builder) inspectString(w *where, f protoreflect.FieldDescriptor, s string) {
	switch {
	case strings.IndexByte(s, 0) >= 0:
		x.malformed("%s.%s holds a NUL byte", w, f.JSONName())
	case !utf8.ValidString(s):
		x.malformed("%s.%s is not valid UTF-8", w, f.JSONName())
	}
}

// unknownFields records the fields that a newer NRI has.
func (x *builder) unknownFields(path string, raw protoreflect.RawFields) {
	for len(raw) > 0 {
		number, _, n := protowire.ConsumeField(raw)
		if n < 0 {
			x.malformed("%s ends in the middle of a field", path)
			return
		}
		x.unknown(path+"#"+strconv.Itoa(int(number)), n)
		raw = raw[n:]
	}
}

func (x *builder) unknown(key string, size int) {
	x.add(engine.Change{Op: engine.Add, Field: engine.Unknown, Key: key, Value: int64(size)}, nobody)
}
