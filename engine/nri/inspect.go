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
func (x *builder) inspect(path string, m proto.Message) {
	r := m.ProtoReflect()
	if !r.IsValid() {
		return
	}
	x.inspectMessage(path, r)
}

func (x *builder) inspectMessage(path string, m protoreflect.Message) {
	x.unknownFields(path, m.GetUnknown())
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := path + "." + f.JSONName()
		switch {
		case f.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				x.inspectString(name, k.String())
				x.inspectValue(name, f.MapValue(), v)
				return true
			})
		case f.IsList():
			for i := range v.List().Len() {
				x.inspectValue(name, f, v.List().Get(i))
			}
		default:
			x.inspectValue(name, f, v)
		}
		return true
	})
}

func (x *builder) inspectValue(path string, f protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch f.Kind() {
	case protoreflect.MessageKind:
		if !v.Message().IsValid() {
			// A network device is removed by a name without a message.
			if f.ContainingMessage().IsMapEntry() {
				return
			}
			x.malformed("%s has an element that is missing", path)
			return
		}
		x.inspectMessage(path, v.Message())
	case protoreflect.StringKind:
		x.inspectString(path, v.String())
	case protoreflect.EnumKind:
		if f.Enum().Values().ByNumber(v.Enum()) == nil {
			x.unknown(path+"="+strconv.Itoa(int(v.Enum())), 1)
		}
	}
}

func (x *builder) inspectString(path, s string) {
	switch {
	case strings.IndexByte(s, 0) >= 0:
		x.malformed("%s holds a NUL byte: %q", path, s)
	case !utf8.ValidString(s):
		x.malformed("%s is not valid UTF-8: %q", path, s)
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
