package nri

import (
	"fmt"
	"reflect"
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
	if v := reflect.ValueOf(m); !v.IsNil() {
		var room [8]string // deeper than messages are
		x.inspectMessage(append(where(room[:0]), name), shapes[v.Type()], v)
	}
}

// shapes are those of the messages that are inspected. Protobuf's own way through a
// message makes garbage at each list and each map.
var shapes = shapesOf((*api.ContainerAdjustment)(nil), (*api.ContainerUpdate)(nil), (*api.ContainerEviction)(nil))

// shape is what there is to look at in messages of one type.
type shape []member

// member is a field of a message that holds strings, enumerators or messages.
type member struct {
	index int // in the Go struct
	name  string
	kind  protoreflect.Kind
	enum  protoreflect.EnumValueDescriptors
	shape *shape
}

func shapesOf(messages ...proto.Message) map[reflect.Type]*shape {
	known := map[reflect.Type]*shape{}
	for _, m := range messages {
		addShape(known, reflect.TypeOf(m), m.ProtoReflect().Descriptor())
	}
	return known
}

// addShape finds the Go field of each field by the number in its tag. It panics,
// when the program starts, at what the walk does not understand: nothing that a
// newer NRI brings must go by unseen.
func addShape(known map[reflect.Type]*shape, t reflect.Type, d protoreflect.MessageDescriptor) *shape {
	if s, ok := known[t]; ok {
		return s
	}
	s := &shape{}
	known[t] = s
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		value := f
		if f.IsMap() {
			value = f.MapValue()
		}
		m := member{index: goField(t.Elem(), f), name: f.JSONName(), kind: value.Kind()}
		held := t.Elem().Field(m.index).Type
		switch m.kind {
		case protoreflect.MessageKind:
			if f.IsMap() || f.IsList() {
				held = held.Elem()
			}
			m.shape = addShape(known, held, value.Message())
		case protoreflect.EnumKind:
			m.enum = value.Enum().Values()
		case protoreflect.StringKind:
		default:
			if !f.IsMap() {
				continue
			}
		}
		if !walked(f, held) {
			panic(fmt.Sprintf("%s cannot be inspected", f.FullName()))
		}
		*s = append(*s, m)
	}
	return s
}

func goField(t reflect.Type, f protoreflect.FieldDescriptor) int {
	for i := range t.NumField() {
		tag := strings.Split(t.Field(i).Tag.Get("protobuf"), ",")
		if len(tag) > 1 && tag[1] == strconv.Itoa(int(f.Number())) {
			return i
		}
	}
	panic(fmt.Sprintf("%s is no field of %s", f.FullName(), t))
}

// walked says whether the walk understands how Go holds a field.
func walked(f protoreflect.FieldDescriptor, held reflect.Type) bool {
	switch {
	case f.IsMap() && f.MapValue().Kind() == protoreflect.MessageKind:
		return f.MapKey().Kind() == protoreflect.StringKind
	case f.IsMap():
		return held == reflect.TypeFor[map[string]string]()
	case f.IsList() && f.Kind() == protoreflect.StringKind:
		return held == reflect.TypeFor[[]string]()
	case f.IsList() && f.Kind() == protoreflect.EnumKind:
		return held.Elem().Kind() == reflect.Int32
	case f.Kind() == protoreflect.StringKind:
		return held.Kind() == reflect.String
	case f.Kind() == protoreflect.EnumKind:
		return held.Kind() == reflect.Int32
	}
	return true
}

// where is a place in a message, written out only when there is something to say
// about it.
type where []string

func (w where) String() string { return strings.Join(w, ".") }

func (x *builder) inspectMessage(w where, s *shape, v reflect.Value) {
	if raw := v.Interface().(proto.Message).ProtoReflect().GetUnknown(); len(raw) > 0 {
		x.unknownFields(w.String(), raw)
	}
	for i := range *s {
		m := &(*s)[i]
		f := v.Elem().Field(m.index)
		switch f.Kind() {
		case reflect.Slice:
			x.inspectList(w, m, f)
		case reflect.Map:
			x.inspectMap(w, m, f)
		case reflect.Pointer:
			if !f.IsNil() {
				x.inspectMessage(append(w, m.name), m.shape, f)
			}
		case reflect.String:
			x.inspectString(w, m, f.String())
		case reflect.Int32:
			x.inspectEnum(w, m, f.Int())
		}
	}
}

func (x *builder) inspectList(w where, m *member, list reflect.Value) {
	if m.kind == protoreflect.StringKind {
		for _, s := range *list.Addr().Interface().(*[]string) {
			x.inspectString(w, m, s)
		}
		return
	}
	for i := range list.Len() {
		switch e := list.Index(i); {
		case m.kind == protoreflect.EnumKind:
			x.inspectEnum(w, m, e.Int())
		case e.IsNil():
			x.missing = true
			x.malformed("%s.%s has an element that is missing", w.String(), m.name)
		default:
			x.inspectMessage(append(w, m.name), m.shape, e)
		}
	}
}

func (x *builder) inspectMap(w where, m *member, f reflect.Value) {
	if texts, ok := f.Interface().(map[string]string); ok {
		for k, v := range texts {
			x.inspectString(w, m, k)
			x.inspectString(w, m, v)
		}
		return
	}
	if f.Len() == 0 {
		return
	}
	for entries := f.MapRange(); entries.Next(); {
		x.inspectString(w, m, entries.Key().String())
		if v := entries.Value(); !v.IsNil() { // a network device is removed by a name without a message
			x.inspectMessage(append(w, m.name), m.shape, v)
		}
	}
}

// inspectString does not repeat the text, which may be the value of a variable.
func (x *builder) inspectString(w where, m *member, s string) {
	switch {
	case strings.IndexByte(s, 0) >= 0:
		x.malformed("%s.%s holds a NUL byte", w.String(), m.name)
	case !utf8.ValidString(s):
		x.malformed("%s.%s is not valid UTF-8", w.String(), m.name)
	}
}

func (x *builder) inspectEnum(w where, m *member, n int64) {
	if m.enum.ByNumber(protoreflect.EnumNumber(n)) == nil {
		x.unknown(w.String()+"."+m.name+"="+strconv.FormatInt(n, 10), 1)
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
