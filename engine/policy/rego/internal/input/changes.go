package input

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/document"
	"github.com/nri-guard/nri-guard/engine/policy/rego/internal/plan"
)

// field is a change field: its changes are one key of the object of changes.
type field struct {
	place int // of the key
	// boxes are what could hold anything in a change: its value, and the old one.
	boxes []*document.Field
	// plain is the Go type of a value, and pointer one to it: most are either.
	plain, pointer reflect.Type
}

// group is the changes of one field.
type group struct {
	place   int
	changes []*engine.Change
}

// fields compiles what is checked of changes.
func fields(shape *document.Shape) map[engine.Field]*field {
	names := sortedNames(shape)
	all := make(map[engine.Field]*field, len(names))
	for _, f := range shape.Fields {
		change := f.Shape.Elem
		x := &field{place: slices.Index(names, f.Name)}
		for i := range change.Fields {
			if change.Fields[i].Boxed() {
				x.boxes = append(x.boxes, &change.Fields[i])
			}
		}
		if value := change.Field("value").Shape; value.Kind != document.Scalar {
			x.plain, x.pointer = value.Type, reflect.PointerTo(value.Type)
		}
		all[engine.Field(f.Name)] = x
	}
	return all
}

// group sorts changes by their fields. It says what is wrong with those whose field does
// not exist, or whose value is of another type than the field's.
func (in *Input) group(c *compiler, changes []*engine.Change) error {
	for name, list := range document.Group(changes) {
		f, ok := c.fields[name]
		if !ok {
			return fmt.Errorf("change %q is of field %q, which does not exist", engine.Brief(list[0].ID, 256), name)
		}
		for _, x := range list {
			if err := f.fit(x); err != nil {
				return fmt.Errorf("change %q: %w", engine.Brief(x.ID, 256), err)
			}
		}
		in.groups = append(in.groups, group{f.place, list})
	}
	return nil
}

func (f *field) fit(x *engine.Change) error {
	if f.usual(x.Value) && f.usual(x.Old) {
		return nil
	}
	v := reflect.ValueOf(x).Elem()
	for _, box := range f.boxes {
		if value, presence := box.Of(v); presence == document.Present && !box.Shape.Fits(value) {
			return fmt.Errorf("%s is of type %s", box.Name, value.Type())
		}
	}
	return nil
}

// usual says whether a value is certain to be of the field's type.
func (f *field) usual(v any) bool {
	t := reflect.TypeOf(v)
	return t == nil || t == f.plain || t == f.pointer
}

// grouped is the part that holds all changes.
type grouped struct {
	plan.Part
	*groupKeys
	in *Input
}

// groupKeys are the keys of it, in order, and what makes the value of each.
type groupKeys struct {
	kind  *plan.Kind
	keys  []*ast.Term
	value []func(in *Input, changes []*engine.Change) *ast.Term
}

// changes compiles the object of changes.
func changes(shape *document.Shape) encode {
	names := sortedNames(shape)
	g := &groupKeys{kind: plan.NewKind(names)}
	for _, name := range names {
		g.keys = append(g.keys, ast.StringTerm(name))
		g.value = append(g.value, groupOf(shape.Field(name).Shape))
	}
	return func(in *Input, _ reflect.Value) *ast.Term {
		part := &grouped{groupKeys: g, in: in}
		part.Sparse(part, g.kind, in.places.take(len(g.keys)))
		return in.term(&part.Part)
	}
}

// Element implements [plan.Elements].
func (g *grouped) Element(i int) *ast.Term {
	g.in.enter()
	defer g.in.leave()
	for _, some := range g.in.groups {
		if some.place == i {
			return g.value[i](g.in, some.changes)
		}
	}
	return nil
}

// Key implements [plan.Elements].
func (g *grouped) Key(i int) *ast.Term { return g.keys[i] }

// groupOf compiles the changes of one field: a list, or an object by name.
func groupOf(shape *document.Shape) func(in *Input, changes []*engine.Change) *ast.Term {
	if shape.Kind == document.List {
		list := list(shape)
		return func(in *Input, changes []*engine.Change) *ast.Term { return list(in, reflect.ValueOf(changes)) }
	}
	element := compile(shape.Elem)
	return func(in *Input, changes []*engine.Change) *ast.Term {
		return newNamed(in, document.ChangeKeys(changes), func(i int) *ast.Term {
			return element(in, reflect.ValueOf(changes[i]).Elem())
		})
	}
}

func sortedNames(shape *document.Shape) []string {
	names := make([]string, len(shape.Fields))
	for i := range shape.Fields {
		names[i] = shape.Fields[i].Name
	}
	slices.Sort(names)
	return names
}
