package rego

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/document"
)

// encoder builds input from a review, without JSON in between. What it looks like
// is the business of package document, whose shapes are compiled here, once, to
// functions that make terms of Go values, as far as policies read them.
//
// An encoder is safe for concurrent use. What it makes must not be modified: parts
// of it are shared.
type encoder struct {
	root    encode
	strings int // slots that the functions were compiled to use
	plugins int
	scratch sync.Pool
}

// newEncoder compiles an encoder of the paths that are read; a path stands for
// everything below it, and a key "*" for any key or index. Nil stands for the whole
// document.
func newEncoder(paths [][]string) *encoder {
	e := &encoder{}
	e.root = e.object(document.ReviewShape(), wanted(paths))
	e.scratch.New = func() any {
		return &scratch{strings: make([]remembered, e.strings), plugins: make([][]rememberedPlugin, e.plugins)}
	}
	return e
}

// encode returns the document of the review. It panics where a review is none that
// a border builds, exactly where [document.Marshal] has an error; the caller
// recovers.
func (e *encoder) encode(r *engine.Review) ast.Value {
	s := e.scratch.Get().(*scratch)
	defer func() {
		s.reset()
		e.scratch.Put(s)
	}()
	return e.root(s, reflect.ValueOf(r).Elem()).Value
}

// encode makes a term of a value, which is as [document.Shape.Resolve] returns it.
type encode func(s *scratch, v reflect.Value) *ast.Term

// compile returns the function for values of a shape, of which want is wanted.
func (e *encoder) compile(shape *document.Shape, want *paths) encode {
	switch shape.Kind {
	case document.Object:
		if shape.Type == reflect.TypeFor[engine.Plugin]() {
			return e.plugin(shape, want)
		}
		return e.object(shape, want)
	case document.Changes:
		return e.changes(shape, want)
	case document.List:
		if shape.Elem.Type == reflect.TypeFor[engine.Plugin]() {
			return e.owners(shape, want)
		}
		return e.list(shape, want)
	case document.Map:
		return e.mapping(shape, want)
	case document.Text:
		return e.text()
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

func (m *member) term(s *scratch, parent reflect.Value) *ast.Term {
	v, presence := m.field.Of(parent)
	switch presence {
	case document.Absent:
		return nil
	case document.Zero:
		return m.zero
	}
	if m.field.Boxed() && !m.field.Shape.Fits(v) {
		panic(fmt.Errorf("%s is of type %s", m.field.Name, v.Type()))
	}
	return m.value(s, v)
}

// object compiles the keys that are wanted, in the order that OPA sorts them into.
func (e *encoder) object(shape *document.Shape, want *paths) encode {
	var members []member
	for i := range shape.Fields {
		f := &shape.Fields[i]
		if below := want.at(f.Name); below != nil {
			value := e.compile(f.Shape, below)
			members = append(members, member{f, ast.StringTerm(f.Name), value, e.zero(f.Shape, value)})
		}
	}
	sortMembers(members)
	return func(s *scratch, v reflect.Value) *ast.Term {
		start := len(s.pairs)
		for i := range members {
			if t := members[i].term(s, v); t != nil {
				s.pairs = append(s.pairs, [2]*ast.Term{members[i].key, t})
			}
		}
		return s.object(start)
	}
}

// zero returns the term that stands where there is no value.
func (e *encoder) zero(shape *document.Shape, value encode) *ast.Term {
	if shape.Kind == document.Changes {
		return nil // never behind a pointer
	}
	s := &scratch{strings: make([]remembered, e.strings), plugins: make([][]rememberedPlugin, e.plugins)}
	return value(s, shape.Zero())
}

// changes compiles the object of changes.
func (e *encoder) changes(shape *document.Shape, want *paths) encode {
	type group struct {
		key   *ast.Term
		value encode
	}
	groups := make(map[engine.Field]group)
	for i := range shape.Fields {
		f := &shape.Fields[i]
		g := group{key: ast.StringTerm(f.Name)}
		if below := want.at(f.Name); below != nil {
			g.value = e.group(f.Shape, below)
		}
		groups[engine.Field(f.Name)] = g
	}
	return func(s *scratch, v reflect.Value) *ast.Term {
		start := len(s.pairs)
		for field, changes := range document.Group(*v.Addr().Interface().(*[]*engine.Change)) {
			g, ok := groups[field]
			if !ok {
				panic(fmt.Errorf("change %q is of field %q, which does not exist", changes[0].ID, field))
			}
			if g.value != nil {
				s.pairs = append(s.pairs, [2]*ast.Term{g.key, g.value(s, reflect.ValueOf(&changes).Elem())})
			}
		}
		return s.object(start)
	}
}

// group compiles the changes of one field: a list, or an object by name.
func (e *encoder) group(shape *document.Shape, want *paths) encode {
	if shape.Kind == document.List {
		return e.list(shape, want)
	}
	elements := e.elements(shape.Elem, want)
	return func(s *scratch, v reflect.Value) *ast.Term {
		changes := *v.Addr().Interface().(*[]*engine.Change)
		start := len(s.pairs)
		for i, key := range document.ChangeKeys(changes) {
			if value := elements.at(key); value != nil {
				s.pairs = append(s.pairs, [2]*ast.Term{s.string(key), value(s, reflect.ValueOf(changes[i]).Elem())})
			}
		}
		return s.object(start)
	}
}

// plugin compiles the name of a plugin, of which a review repeats few often.
func (e *encoder) plugin(shape *document.Shape, want *paths) encode {
	object, slot := e.object(shape, want), e.pluginSlot()
	return func(s *scratch, v reflect.Value) *ast.Term {
		if !v.CanAddr() {
			return object(s, v) // the zero value
		}
		return s.plugin(slot, v, func() *ast.Term { return object(s, v) })
	}
}

// owners compiles a list of plugins. Most changes have one owner.
func (e *encoder) owners(shape *document.Shape, want *paths) encode {
	list, slot := e.list(shape, want), e.pluginSlot()
	return func(s *scratch, v reflect.Value) *ast.Term {
		if v.Len() != 1 {
			return list(s, v)
		}
		return s.plugin(slot, v.Index(0), func() *ast.Term { return list(s, v) })
	}
}

func (e *encoder) pluginSlot() int {
	e.plugins++
	return e.plugins - 1
}
