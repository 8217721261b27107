package document

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nri-guard/nri-guard/engine"
)

// shapeOf describes a Go type.
func shapeOf(t reflect.Type) *Shape {
	if t == reflect.TypeFor[[]*engine.Change]() {
		return changesShape(t)
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	s := &Shape{Type: t, zero: reflect.Zero(t)}
	if names := enumNames(t); names != nil {
		s.Kind, s.names = Enum, names
		return s
	}
	switch t.Kind() {
	case reflect.Struct:
		_, s.Message = reflect.New(t).Interface().(protoreflect.ProtoMessage)
		s.Kind, s.Fields = Object, fieldsOf(t)
	case reflect.Map:
		if t.Key().Kind() == reflect.String {
			s.Kind, s.Elem = Map, shapeOf(t.Elem())
		}
	case reflect.Slice:
		s.Kind, s.Elem = List, shapeOf(t.Elem())
	case reflect.String:
		s.Kind, s.Values = Text, textValues(t)
	case reflect.Bool:
		s.Kind = Bool
	case reflect.Int32, reflect.Int64, reflect.Int:
		s.Kind = Int
	case reflect.Uint32, reflect.Uint64:
		s.Kind = Uint
	}
	return s
}

// textValues lists what a string type of the engine's can be.
func textValues(t reflect.Type) []string {
	switch t {
	case reflect.TypeFor[engine.Operation]():
		return texts(engine.Operations())
	case reflect.TypeFor[engine.Op]():
		return texts(engine.Ops())
	}
	return nil
}

func texts[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}

func fieldsOf(t reflect.Type) []Field {
	var fields []Field
	for i := range t.NumField() {
		if f, ok := fieldOf(t.Field(i)); ok {
			f.index = i
			fields = append(fields, f)
		}
	}
	return fields
}

// fieldOf describes a struct's field by its tags, and says whether it has a place
// in the document at all.
func fieldOf(sf reflect.StructField) (Field, bool) {
	f := Field{Doc: sf.Tag.Get("doc")}
	if tag, ok := sf.Tag.Lookup("protobuf"); ok {
		f.Name = messageName(tag)
		f.Optional = sf.Type.Kind() == reflect.Pointer
	} else {
		name, omit, _ := strings.Cut(sf.Tag.Get("json"), ",")
		f.Name, f.Optional = name, omit == "omitempty"
	}
	if f.Name == "" || f.Name == "-" {
		return f, false
	}
	t := sf.Type
	if t.Kind() == reflect.Interface {
		f.boxed = true
		f.Shape = &Shape{Kind: Scalar, zero: reflect.ValueOf(int64(0))}
		return f, true
	}
	if t.Kind() == reflect.Pointer && strings.HasPrefix(t.Elem().Name(), "Optional") {
		inner, _ := t.Elem().FieldByName("Value") // all that an Optional message has
		f.wrapped, f.inner, t = true, inner.Index[0], inner.Type
	}
	f.Shape = shapeOf(t)
	f.plain = !f.Optional && t.Kind() != reflect.Pointer
	f.Shape.Environ = f.Name == string(engine.Env) && f.Shape.Kind == List
	return f, true
}

// messageName reads the JSON name out of a tag of protoc-gen-go's.
func messageName(tag string) string {
	var name, json string
	for part := range strings.SplitSeq(tag, ",") {
		if n, ok := strings.CutPrefix(part, "name="); ok {
			name = n
		}
		if n, ok := strings.CutPrefix(part, "json="); ok {
			json = n
		}
	}
	return cmp.Or(json, name)
}

// enumNames returns the names of an enum's numbers, nil where t is none.
func enumNames(t reflect.Type) map[int64]string {
	enum, ok := reflect.Zero(t).Interface().(protoreflect.Enum)
	if !ok {
		return nil
	}
	values := enum.Descriptor().Values()
	names := make(map[int64]string, values.Len())
	for i := range values.Len() {
		names[int64(values.Get(i).Number())] = string(values.Get(i).Name())
	}
	return names
}

// sortedNames returns an enum's names by number.
func (s *Shape) sortedNames() []string {
	numbers := make([]int64, 0, len(s.names))
	for n := range s.names {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	names := make([]string, len(numbers))
	for i, n := range numbers {
		names[i] = s.names[n]
	}
	return names
}

// changesShape describes the object of changes: of every field a list of changes,
// whose values have the type that the field gives them. Env alone is an object by
// name, so that policies can ask for a variable.
func changesShape(t reflect.Type) *Shape {
	s := &Shape{Kind: Changes, Type: t, zero: reflect.Zero(t)}
	for _, spec := range engine.Fields() {
		group := &Shape{Kind: List, Elem: changeShape(spec)}
		if spec.Field == engine.Env {
			group.Kind = Map
		}
		s.Fields = append(s.Fields, Field{Name: string(spec.Field), Doc: spec.Doc, Optional: true, Shape: group})
	}
	return s
}

// changeShape describes a change of one field.
func changeShape(spec engine.FieldSpec) *Shape {
	s := shapeOf(reflect.TypeFor[engine.Change]())
	value := shapeOf(reflect.TypeOf(spec.Zero))
	if spec.Field == engine.Resource {
		value = nil // stays what an interface is: any scalar
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Shape.Kind == Scalar && value != nil {
			f.Shape = value
		}
		switch {
		case f.Name == "field":
			f.Shape.Values = []string{string(spec.Field)}
		case f.Name == "key" && spec.Key != "":
			f.Doc = "which one: " + spec.Key
		}
	}
	return s
}

// Group goes through the changes field by field, in the order of the document.
func Group(changes []*engine.Change) func(yield func(engine.Field, []*engine.Change) bool) {
	byField := func(a, b *engine.Change) int { return cmp.Compare(a.Field, b.Field) }
	if !slices.IsSortedFunc(changes, byField) {
		changes = slices.Clone(changes)
		slices.SortStableFunc(changes, byField)
	}
	return func(yield func(engine.Field, []*engine.Change) bool) {
		for start := 0; start < len(changes); {
			field, end := changes[start].Field, start+1
			for end < len(changes) && changes[end].Field == field {
				end++
			}
			if !yield(field, changes[start:end]) {
				return
			}
			start = end
		}
	}
}
