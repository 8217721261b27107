package rego

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine/document"
)

// list compiles a list. Its elements are all there, so that an index means what it
// says; of each only what is wanted of any.
func (e *encoder) list(shape *document.Shape, want *paths) encode {
	element := e.compile(shape.Elem, want.elements())
	elem := shape.Elem
	return func(s *scratch, v reflect.Value) *ast.Term {
		n := v.Len()
		if n == 0 {
			return ast.InternedEmptyArray
		}
		terms := make([]*ast.Term, n)
		for i := range terms {
			ev, _ := elem.Resolve(v.Index(i))
			terms[i] = element(s, ev)
		}
		return s.term(ast.NewArray(terms...))
	}
}

// elements makes the values of an object with free keys.
type elements struct {
	named map[string]encode
	other encode // nil: not wanted
}

func (e *elements) at(key string) encode {
	if value, ok := e.named[key]; ok {
		return value
	}
	return e.other
}

func (e *encoder) elements(shape *document.Shape, want *paths) *elements {
	out := &elements{named: make(map[string]encode)}
	if want.all || want.any != nil {
		out.other = e.compile(shape, want.at("*"))
	}
	for key := range want.below {
		out.named[key] = e.compile(shape, want.at(key))
	}
	return out
}

// mapping compiles an object with free keys.
func (e *encoder) mapping(shape *document.Shape, want *paths) encode {
	elements, elem := e.elements(shape.Elem, want), shape.Elem
	return func(s *scratch, v reflect.Value) *ast.Term {
		if v.Len() == 0 {
			return ast.InternedEmptyObject
		}
		names := make([]string, 0, v.Len())
		for it := v.MapRange(); it.Next(); {
			names = append(names, it.Key().String())
		}
		slices.Sort(names)
		start := len(s.pairs)
		for i, key := range document.Keys(names) {
			if value := elements.at(key); value != nil {
				ev, _ := elem.Resolve(v.MapIndex(reflect.ValueOf(names[i])))
				s.pairs = append(s.pairs, [2]*ast.Term{s.string(key), value(s, ev)})
			}
		}
		return s.object(start)
	}
}

// text compiles a string. In one place of a document the same one is often found
// several times in a row: the id of the container, the kind of change.
func (e *encoder) text() encode {
	slot := e.strings
	e.strings++
	return func(s *scratch, v reflect.Value) *ast.Term {
		last := &s.strings[slot]
		if text := v.String(); last.term == nil || last.text != text {
			*last = remembered{text, s.string(text)}
		}
		return last.term
	}
}

func enum(shape *document.Shape) encode {
	return func(s *scratch, v reflect.Value) *ast.Term { return s.string(shape.EnumText(v.Int())) }
}

// scalar makes a term of any value that is neither object nor list.
func scalar(s *scratch, v reflect.Value) *ast.Term {
	switch v.Kind() {
	case reflect.String:
		return s.string(v.String())
	case reflect.Bool:
		return ast.InternedTerm(v.Bool())
	case reflect.Uint32, reflect.Uint64:
		if n := v.Uint(); !interned(n) {
			return s.term(ast.Number(strconv.FormatUint(n, 10)))
		}
		return ast.InternedTerm(v.Uint())
	}
	if n := v.Int(); n < 0 || !interned(uint64(n)) {
		return s.term(ast.Number(strconv.FormatInt(n, 10)))
	}
	return ast.InternedTerm(v.Int())
}

// interned says whether OPA keeps a term for the number. Asking it about larger
// ones would truncate them to int.
func interned(n uint64) bool { return n < 1<<31 && ast.HasInternedIntNumberTerm(int(n)) }

func sortMembers(members []member) {
	slices.SortFunc(members, func(a, b member) int { return cmp.Compare(a.field.Name, b.field.Name) })
}

// paths says what is wanted of a document: everything, or what lies below some of
// its keys. Nothing at all is nil.
type paths struct {
	all   bool
	below map[string]*paths
	any   *paths // below every key
}

func wanted(list [][]string) *paths {
	p := &paths{all: list == nil}
	for _, path := range list {
		p.add(path)
	}
	return p
}

func (p *paths) add(path []string) {
	if len(path) == 0 {
		p.all = true
		return
	}
	if path[0] == "*" {
		if p.any == nil {
			p.any = &paths{}
		}
		p.any.add(path[1:])
		return
	}
	if p.below == nil {
		p.below = make(map[string]*paths)
	}
	if p.below[path[0]] == nil {
		p.below[path[0]] = &paths{}
	}
	p.below[path[0]].add(path[1:])
}

// at returns what is wanted below a key; "*" is any that has no other name.
func (p *paths) at(key string) *paths {
	if p.all {
		return p
	}
	return union(p.below[key], p.any)
}

// elements returns what is wanted below any key.
func (p *paths) elements() *paths {
	if p.all {
		return p
	}
	u := union(&paths{}, p.any)
	for _, below := range p.below {
		u = union(u, below)
	}
	return u
}

func union(a, b *paths) *paths {
	switch {
	case a == nil:
		return b
	case b == nil || a.all:
		return a
	case b.all:
		return b
	}
	u := &paths{any: union(a.any, b.any), below: make(map[string]*paths)}
	for key := range a.below {
		u.below[key] = union(a.below[key], b.below[key])
	}
	for key := range b.below {
		u.below[key] = union(a.below[key], b.below[key])
	}
	return u
}
