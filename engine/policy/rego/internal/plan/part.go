package plan

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Part is an object or a list of an input, whose elements are made when they are
// looked at. Plans look at nothing but the elements that they need; whatever else is
// to see a part (a builtin, a comparison, what rules give) is given all of it, as
// values of OPA's: see solid.
//
// A part is for one evaluation after the other.
type Part struct {
	elements Elements
	names    []string // of an object, in order; nil is a list
	kind     *Kind    // not nil: not every name need be a key
	made     []*ast.Term
	all      ast.Value
}

// Elements makes the elements of a part.
type Elements interface {
	// Element makes the element at a place; nil where a sparse object has no such key.
	// It is asked once for each.
	Element(i int) *ast.Term
	// Key is the key of an element of an object.
	Key(i int) *ast.Term
}

// absent stands in a part for an element that there is not.
var absent = &ast.Term{Value: ast.InternedNullValue}

// Object makes p an object with keys of these names, which are in order and all
// different; made has a place for each.
func (p *Part) Object(e Elements, names []string, made []*ast.Term) {
	p.elements, p.names, p.made = e, names, made
}

// Sparse makes p an object that may lack some of the keys of its kind.
func (p *Part) Sparse(e Elements, kind *Kind, made []*ast.Term) {
	p.Object(e, kind.names, made)
	p.kind = kind
}

// List makes p a list with as many elements as made has places.
func (p *Part) List(e Elements, made []*ast.Term) { p.elements, p.made = e, made }

// Solid returns all of the part, made of OPA's values.
func (p *Part) Solid() ast.Value {
	if p.all != nil {
		return p.all
	}
	if p.names == nil {
		terms := make([]*ast.Term, len(p.made))
		for i := range terms {
			terms[i] = solid(p.at(i))
		}
		p.all = ast.NewArray(terms...)
		return p.all
	}
	pairs := make([][2]*ast.Term, 0, len(p.names))
	for i := range p.names {
		if t := p.at(i); t != nil {
			pairs = append(pairs, [2]*ast.Term{p.elements.Key(i), solid(t)})
		}
	}
	p.all = ast.NewObject(pairs...)
	return p.all
}

// Solid makes all of a term, if it is a part.
func Solid(t *ast.Term) *ast.Term { return solid(t) }

// solid makes all of a term that is a part.
func solid(t *ast.Term) *ast.Term {
	if p, ok := t.Value.(*Part); ok {
		t.Value = p.Solid()
	}
	return t
}

func allSolid(terms []*ast.Term) []*ast.Term {
	for _, t := range terms {
		solid(t)
	}
	return terms
}

func isPart(t *ast.Term) bool {
	_, ok := t.Value.(*Part)
	return ok
}

// equal says whether two terms have the same value.
func equal(a, b *ast.Term) bool { return a == b || solid(a).Equal(solid(b)) }

// at returns the element at a place; nil where there is none.
func (p *Part) at(i int) *ast.Term {
	t := p.made[i]
	if t == nil {
		if t = p.elements.Element(i); t == nil {
			t = absent
		}
		p.made[i] = t
	}
	if t == absent {
		return nil
	}
	return t
}

// get looks a key up.
func (p *Part) get(key *ast.Term) *ast.Term {
	switch k := key.Value.(type) {
	case ast.String:
		if p.names == nil {
			return nil
		}
		if i, ok := slices.BinarySearch(p.names, string(k)); ok {
			return p.at(i)
		}
	case ast.Number:
		if i, ok := k.Int(); ok && p.names == nil && i >= 0 && i < len(p.made) {
			return p.at(i)
		}
	}
	return nil
}

// has says whether there is an element at a place.
func (p *Part) has(i int) bool { return p.kind == nil || p.at(i) != nil }

// len is how many elements there are.
func (p *Part) len() int {
	n := 0
	for i := range p.made {
		if p.has(i) {
			n++
		}
	}
	return n
}

// scan visits the elements in their order.
func (p *Part) scan(m *machine, visit func(k, v *ast.Term) signal) signal {
	for i := range p.made {
		v := p.at(i)
		if v == nil {
			continue
		}
		if m.tick() {
			return halt
		}
		if s := visit(p.key(i), v); s != more {
			return s
		}
	}
	return more
}

func (p *Part) key(i int) *ast.Term {
	if p.names == nil {
		return ast.InternedTerm(i)
	}
	return p.elements.Key(i)
}

// Compare implements [ast.Value].
func (p *Part) Compare(other ast.Value) int {
	if o, ok := other.(*Part); ok {
		other = o.Solid()
	}
	return p.Solid().Compare(other)
}

// Find implements [ast.Value]. It makes no more than what the path leads to.
func (p *Part) Find(path ast.Ref) (ast.Value, error) {
	if len(path) == 0 {
		return p.Solid(), nil
	}
	if t := p.get(path[0]); t != nil {
		return t.Value.Find(path[1:])
	}
	return ast.InternedEmptyObjectValue.Find(path) // the error of OPA's
}

// Hash implements [ast.Value].
func (p *Part) Hash() int { return p.Solid().Hash() }

// IsGround implements [ast.Value].
func (p *Part) IsGround() bool { return true }

// String implements [ast.Value].
func (p *Part) String() string { return p.Solid().String() }

// StringLength implements [ast.StringLengther].
func (p *Part) StringLength() int { return len(p.String()) }
