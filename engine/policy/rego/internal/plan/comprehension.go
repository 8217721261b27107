package plan

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// builder makes a value of the solutions of a comprehension.
type builder struct {
	body  ast.Body
	terms []*ast.Term // of each solution
	array bool
	set   bool
}

func builderOf(t *ast.Term) *builder {
	switch c := t.Value.(type) {
	case *ast.ArrayComprehension:
		return &builder{body: c.Body, terms: []*ast.Term{c.Term}, array: true}
	case *ast.SetComprehension:
		return &builder{body: c.Body, terms: []*ast.Term{c.Term}, set: true}
	case *ast.ObjectComprehension:
		return &builder{body: c.Body, terms: []*ast.Term{c.Key, c.Value}}
	}
	return nil
}

// comprehension plans a comprehension.
func (s *scope) comprehension(t *ast.Term) value {
	b := builderOf(t)
	direct := s.closure().solutions(b)
	index := s.compiler.ComprehensionIndex(t)
	if index == nil {
		return direct
	}
	return s.grouped(b, index.Keys, direct)
}

// solutions plans the evaluation of a comprehension for the variables as they are.
func (s *scope) solutions(b *builder) value {
	var values []value
	run := s.body(b.body, func() step {
		values = s.values(b.terms)
		return func(m *machine, f frame) signal {
			for _, v := range values {
				t := v(m, f)
				if t == nil {
					return m.nothing()
				}
				m.found = append(m.found, solid(t))
			}
			return more
		}
	})
	return func(m *machine, f frame) *ast.Term {
		start := len(m.found)
		sig := run(m, f)
		found := m.found[start:]
		m.found = m.found[:start]
		if sig == halt {
			return nil
		}
		return b.value(m, found)
	}
}

// value makes the value. What is found is copied.
func (b *builder) value(m *machine, found []*ast.Term) *ast.Term {
	switch {
	case b.array && len(found) == 0:
		return ast.InternedEmptyArray
	case b.array:
		return ast.ArrayTerm(append([]*ast.Term(nil), found...)...)
	case b.set && len(found) == 0:
		return ast.InternedEmptySet
	case b.set:
		return ast.SetTerm(found...)
	case len(found) == 0:
		return ast.InternedEmptyObject
	}
	o := ast.NewObject()
	for i := 0; i < len(found); i += 2 {
		if there := o.Get(found[i]); there != nil && !there.Equal(found[i+1]) {
			m.fail(&topdown.Error{Code: topdown.ConflictErr, Location: b.terms[0].Location, Message: "object keys must be unique"})
			return nil
		}
		o.Insert(found[i], found[i+1])
	}
	return ast.NewTerm(o)
}

// group is a comprehension evaluated for all values of its keys at once.
type group struct{ byKeys calls }

// grouped plans a comprehension that the compiler has found keys for: it is
// evaluated once for all of their values.
func (s *scope) grouped(b *builder, keys []*ast.Term, direct value) value {
	id := s.nextGroup()
	inner := &scope{world: s.world, fn: s.fn.inner(), bound: map[ast.Var]bool{}, expr: s.expr, rules: s.rules}
	n := len(keys)
	run := inner.solutions(&builder{body: b.body, terms: append(append([]*ast.Term{}, keys...), b.terms...), array: true})
	here := s.values(keys)
	size := func() int { return inner.fn.size }
	return func(m *machine, f frame) *ast.Term {
		g := m.memory.groups[id]
		if g == nil {
			own, before := m.enter(size())
			t := run(m, own)
			m.leave(before)
			if t == nil {
				return nil
			}
			g = b.group(t.Value.(*ast.Array), n)
			if m.memory.groups == nil {
				m.memory.groups = map[int]*group{}
			}
			m.memory.groups[id] = g
		}
		start, ok := m.all(here, f)
		if !ok {
			return nil
		}
		t, ok := g.byKeys.get(allSolid(m.args[start:]))
		m.args = m.args[:start]
		if !ok {
			return direct(m, f)
		}
		return t
	}
}

// group sorts solutions, of which the first n terms are keys.
func (b *builder) group(found *ast.Array, n int) *group {
	g := &group{}
	width := n + len(b.terms)
	for i := 0; i < found.Len(); i += width {
		keys := make([]*ast.Term, n)
		for k := range keys {
			keys[k] = found.Elem(i + k)
		}
		t, ok := g.byKeys.get(keys)
		if !ok {
			t = b.empty()
			g.byKeys.put(keys, t)
		}
		switch v := t.Value.(type) {
		case *ast.Array:
			t.Value = v.Append(found.Elem(i + n))
		case ast.Set:
			v.Add(found.Elem(i + n))
		case ast.Object:
			v.Insert(found.Elem(i+n), found.Elem(i+n+1))
		}
	}
	return g
}

func (b *builder) empty() *ast.Term {
	switch {
	case b.array:
		return ast.ArrayTerm()
	case b.set:
		return ast.SetTerm()
	}
	return ast.ObjectTerm()
}
