package document

import (
	"reflect"
	"strconv"
	"sync"

	"github.com/nri-guard/nri-guard/engine"
)

// Kind is the kind of value that a [Shape] describes.
type Kind int

// The kinds of values.
const (
	Invalid Kind = iota // a Go type that has no form in the document
	Object              // a struct
	Map                 // a map from string
	List                // a slice
	Changes             // []*engine.Change: an object by field
	Text                // a string
	Int                 // a signed integer
	Uint                // an unsigned integer
	Bool                // a boolean
	Enum                // an enum of protobuf's, by its names
	Scalar              // an any that holds int64, uint64, string or bool
)

// Shape describes the form that values of one Go type have in the document.
// Shapes are trees, shared by everybody and not to be modified.
type Shape struct {
	Kind Kind
	// Type is the Go type; for an Object the struct, not a pointer to it. Nil for
	// Scalar.
	Type reflect.Type
	// Fields of an Object are its keys; of Changes its keys too, one for every
	// [engine.Field], whose shapes are a List of Change objects, a Map for env.
	Fields []Field
	// Elem describes the elements of a List and the values of a Map.
	Elem *Shape
	// Values are all that a Text can be; nil where it can be anything.
	Values []string
	// Message is set where Type is a message of NRI's.
	Message bool
	// Environ marks a List of NAME=value entries, whose values can be masked.
	Environ bool

	names map[int64]string // of an Enum
	zero  reflect.Value
}

// Field is one key of an object.
type Field struct {
	Name string
	Doc  string
	// Optional keys are absent where there is no value.
	Optional bool
	Shape    *Shape

	index    int  // of the Go struct's field
	plain    bool // the field is the value itself, and is always there
	boxed    bool // the field is an interface
	wrapped  bool // the value is in field inner of a message
	inner    int
	computed func(reflect.Value) reflect.Value // in place of index
}

// ReviewShape returns the shape of an [engine.Review].
func ReviewShape() *Shape { return reviewShape() }

var reviewShape = sync.OnceValue(func() *Shape {
	s := shapeOf(reflect.TypeFor[engine.Review]())
	s.Fields = append(s.Fields, Field{
		Name:     "effective",
		Doc:      "the container with the changes applied; absent in logs and where no policy reads it",
		Optional: true,
		Shape:    s.Field("container").Shape,
		computed: func(r reflect.Value) reflect.Value {
			return reflect.ValueOf(engine.Effective(r.Addr().Interface().(*engine.Review)))
		},
	})
	return s
})

// Field returns the field of that name, or nil.
func (s *Shape) Field(name string) *Field {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return &s.Fields[i]
		}
	}
	return nil
}

// Presence says what there is of a field in a Go value.
type Presence int

// Absent has no place in the document. Zero has: it is a nil that shows as the
// zero value of the shape. Anything else is Present.
const (
	Absent Presence = iota
	Zero
	Present
)

// Of returns the value of the field in a struct. Pointers, interfaces and Optional
// messages are taken off. The result's Go type is that of the field's shape, unless
// an interface holds something else; see [Shape.Fits].
func (f *Field) Of(parent reflect.Value) (reflect.Value, Presence) {
	var v reflect.Value
	if f.computed != nil {
		v = f.computed(parent)
	} else {
		v = parent.Field(f.index)
	}
	if f.Optional && v.IsNil() {
		return v, Absent
	}
	if f.wrapped {
		return v.Elem().Field(f.inner), Present
	}
	return f.Shape.Resolve(v)
}

// Boxed says whether the Go field is an interface, so that it can hold what does
// not fit.
func (f *Field) Boxed() bool { return f.boxed }

// Resolve takes pointers and interfaces off a value of the shape's; a nil becomes
// the zero value.
func (s *Shape) Resolve(v reflect.Value) (reflect.Value, Presence) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return s.zero, Zero
		}
		v = v.Elem()
	}
	return v, Present
}

// Zero returns the zero value of the shape's Go type.
func (s *Shape) Zero() reflect.Value { return s.zero }

// Fits says whether a resolved value is of a Go type that the shape describes.
func (s *Shape) Fits(v reflect.Value) bool {
	if s.Kind != Scalar {
		return v.Kind() == s.Type.Kind() && v.Type() == s.Type
	}
	switch v.Kind() {
	case reflect.Int64, reflect.Uint64, reflect.String, reflect.Bool:
		return true
	}
	return false
}

// EnumText returns the name of an enum's number, or the number itself where this
// build knows no name for it.
func (s *Shape) EnumText(n int64) string {
	if name, ok := s.names[n]; ok {
		return name
	}
	return strconv.FormatInt(n, 10)
}
