package input

import (
	"cmp"
	"reflect"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine/document"
	"github.com/nri-guard/nri-guard/engine/policy/rego/internal/plan"
)

// encode makes a term of a value, which is as [document.Shape.Resolve] returns it.
type encode func(in *Input, v reflect.Value) *ast.Term

// compile returns the function for values of a shape.
func compile(shape *document.Shape) encode {
	switch shape.Kind {
	case document.Object:
		return object(shape)
	case document.Changes:
		return changes(shape)
	case document.List:
		return list(shape)
	case document.Map:
		return mapping(shape)
	case document.Text:
		return text(shape)
	case document.Enum:
		return enum(shape)
	}
	return scalar
}

// member is a key of an object with what makes its value.
type member struct {
	field *document.Field
	key   *ast.Term
	value encode
	zero  *ast.Term
}

func (m *member) term(in *Input, parent reflect.Value) *ast.Term {
	v, presence := m.field.Of(parent)
	switch presence {
	case document.Absent:
		return nil
	case document.Zero:
		return m.zero
	}
	return m.value(in, v)
}

// members are the keys of an object, in order.
type members struct {
	list []member
	kind *plan.Kind
}

// structured is a part made of a struct.
type structured struct {
	plan.Part
	*members
	in *Input
	v  reflect.Value
}

func object(shape *document.Shape) encode {
	m := &members{}
	for i := range shape.Fields {
		f := &shape.Fields[i]
		value := compile(f.Shape)
		m.list = append(m.list, member{f, ast.StringTerm(f.Name), value, zero(f.Shape, value)})
	}
	slices.SortFunc(m.list, func(a, b member) int { return cmp.Compare(a.field.Name, b.field.Name) })
	m.kind = plan.NewKind(sortedNames(shape))
	return func(in *Input, v reflect.Value) *ast.Term {
		s := &in.structs.take(1)[0]
		s.members, s.in, s.v = m, in, v
		s.Sparse(s, m.kind, in.places.take(len(m.list)))
		return in.term(&s.Part)
	}
}

// Element implements [plan.Elements].
func (s *structured) Element(i int) *ast.Term {
	s.in.enter()
	defer s.in.leave()
	return s.list[i].term(s.in, s.v)
}

// Key implements [plan.Elements].
func (s *structured) Key(i int) *ast.Term { return s.list[i].key }

// zero returns the term that stands where there is no value. All reviews share it.
func zero(shape *document.Shape, value encode) *ast.Term {
	if shape.Kind == document.Changes {
		return nil // never behind a pointer
	}
	return plan.Solid(value(&Input{}, shape.Zero()))
}

// named is a part made of anything with keys of its own.
type named struct {
	plan.Part
	in    *Input
	keys  []string
	value func(i int) *ast.Term
}

// newNamed makes an object of named values. The keys are all different.
func newNamed(in *Input, keys []string, value func(i int) *ast.Term) *ast.Term {
	if len(keys) == 0 {
		return ast.InternedEmptyObject
	}
	n := &named{in: in, keys: keys, value: value}
	if !slices.IsSorted(keys) {
		n.sort()
	}
	n.Object(n, n.keys, in.places.take(len(keys)))
	return in.term(&n.Part)
}

func (n *named) sort() {
	at := make([]int, len(n.keys))
	for i := range at {
		at[i] = i
	}
	given, value := n.keys, n.value
	slices.SortFunc(at, func(a, b int) int { return cmp.Compare(given[a], given[b]) })
	n.keys = make([]string, len(given))
	for i := range at {
		n.keys[i] = given[at[i]]
	}
	n.value = func(i int) *ast.Term { return value(at[i]) }
}

// Element implements [plan.Elements].
func (n *named) Element(i int) *ast.Term {
	n.in.enter()
	defer n.in.leave()
	return n.value(i)
}

// Key implements [plan.Elements].
func (n *named) Key(i int) *ast.Term { return n.in.string(n.keys[i]) }
