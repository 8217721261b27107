package docker

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Unsupported says what of an adjustment or an update Docker cannot express.
type Unsupported struct {
	// What has an entry for each part, sorted: its field as NRI's protocol names
	// it in JSON, the key within that field, and the reason where there is one
	// beyond Docker having no such setting. It holds no values of environment
	// variables.
	What []string
}

// Error gives everything in one line.
func (e *Unsupported) Error() string {
	return "Docker cannot express: " + strings.Join(e.What, "; ")
}

// refusals collects what cannot be expressed.
type refusals []string

func (r *refusals) refuse(format string, args ...any) {
	*r = append(*r, fmt.Sprintf(format, args...))
}

// err is an [*Unsupported], or nil when nothing was refused.
func (r refusals) err() error {
	if len(r) == 0 {
		return nil
	}
	slices.Sort(r)
	return &Unsupported{What: slices.Compact(r)}
}

// known lists the fields that are translated, by their path in JSON. A field that
// is not listed is refused whenever it is set, so that one which a newer version of
// the protocol brings along cannot be lost in silence.
type known map[string]depth

// depth says what to do with a field that is set.
type depth int

const (
	whole depth = iota // translated, or refused for a reason, as a whole
	parts              // not looked at itself, only the fields in it
)

// check refuses what is set in m and not known, fields without a name, and strings
// that Docker could not keep as they are.
func (r *refusals) check(m proto.Message, fields known) {
	inventory{refusals: r, fields: fields}.message("", m.ProtoReflect(), parts)
}

type inventory struct {
	*refusals
	fields known
}

func (v inventory) message(path string, m protoreflect.Message, within depth) {
	v.unknown(path, m.GetUnknown())
	m.Range(func(fd protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		name := strings.TrimPrefix(path+"."+fd.JSONName(), ".")
		next := whole
		if within == parts {
			var ok bool
			if next, ok = v.fields[name]; !ok {
				v.refuse("%s", name)
				return true
			}
		}
		v.value(name, fd, value, next)
		return true
	})
}

func (v inventory) value(name string, fd protoreflect.FieldDescriptor, value protoreflect.Value, within depth) {
	switch {
	case fd.IsList():
		for i := range value.List().Len() {
			v.single(name, fd, value.List().Get(i), within)
		}
	case fd.IsMap():
		value.Map().Range(func(k protoreflect.MapKey, e protoreflect.Value) bool {
			v.single(name, fd.MapKey(), k.Value(), within)
			v.single(name, fd.MapValue(), e, within)
			return true
		})
	default:
		v.single(name, fd, value, within)
	}
}

func (v inventory) single(name string, fd protoreflect.FieldDescriptor, value protoreflect.Value, within depth) {
	switch fd.Kind() {
	case protoreflect.MessageKind:
		if !value.Message().IsValid() {
			v.refuse("%s: an entry is empty", name)
			return
		}
		v.message(name, value.Message(), within)
	case protoreflect.StringKind:
		// A string cannot end in the middle for the kernel, and Docker keeps its
		// settings as JSON, which replaces what is no UTF-8.
		if s := value.String(); strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
			v.refuse("%s: holds a NUL byte or is no UTF-8", name)
		}
	}
}

func (v inventory) unknown(path string, raw []byte) {
	if path == "" {
		path = "the message itself"
	}
	for len(raw) > 0 {
		number, _, n := protowire.ConsumeField(raw)
		if n < 0 {
			v.refuse("%s: unknown and malformed fields", path)
			return
		}
		v.refuse("%s: unknown field %d", path, number)
		raw = raw[n:]
	}
}
