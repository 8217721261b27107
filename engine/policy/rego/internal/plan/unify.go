package plan

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// unify plans an equality, which may give variables of either side their values.
func (s *scope) unify(a, b *ast.Term, then plan) step {
	aKnown, bKnown := s.known(a), s.known(b)
	switch {
	case aKnown && bKnown:
		return compare(s.value(a), s.value(b), true, then())
	case aKnown:
		return s.unifyValue(s.value(a), b, then)
	case bKnown:
		return s.unifyValue(s.value(b), a, then)
	}
	if ref, ok := a.Value.(ast.Ref); ok {
		return s.ref(ref, func(v value) step { return s.unifyValue(v, b, then) })
	}
	if ref, ok := b.Value.(ast.Ref); ok {
		return s.ref(ref, func(v value) step { return s.unifyValue(v, a, then) })
	}
	return s.unifyPatterns(a, b, then)
}

// compare plans that two values are the same, or are not.
func compare(a, b value, same bool, next step) step {
	return func(m *machine, f frame) signal {
		x := a(m, f)
		if x == nil {
			return m.nothing()
		}
		y := b(m, f)
		if y == nil {
			return m.nothing()
		}
		if equal(x, y) != same {
			return more
		}
		return next(m, f)
	}
}

// unifyValue plans the equality of a value with a term.
func (s *scope) unifyValue(v value, t *ast.Term, then plan) step {
	if s.known(t) {
		return compare(v, s.value(t), true, then())
	}
	switch p := t.Value.(type) {
	case ast.Var:
		return store(v, s.bind(p), then())
	case ast.Ref:
		slot := s.temp()
		return store(v, slot, s.ref(p, func(w value) step { return compare(at(slot), w, true, then()) }))
	case *ast.Array:
		return s.takeArray(v, p, then)
	case ast.Object:
		return s.takeObject(v, p, then)
	}
	refuse("a set with variables")
	return nil
}

func store(v value, slot int, next step) step {
	return func(m *machine, f frame) signal {
		t := v(m, f)
		if t == nil {
			return m.nothing()
		}
		f[slot] = t
		return next(m, f)
	}
}

// takeArray plans taking an array apart.
func (s *scope) takeArray(v value, p *ast.Array, then plan) step {
	slot, n := s.temp(), p.Len()
	element := func(i int) value {
		return func(_ *machine, f frame) *ast.Term { return f[slot].Value.(*ast.Array).Elem(i) }
	}
	var from func(i int) step
	from = func(i int) step {
		if i == n {
			return then()
		}
		return s.unifyValue(element(i), p.Elem(i), func() step { return from(i + 1) })
	}
	next := from(0)
	return store(v, slot, func(m *machine, f frame) signal {
		if a, ok := solid(f[slot]).Value.(*ast.Array); !ok || a.Len() != n {
			return more
		}
		return next(m, f)
	})
}

// takeObject plans taking an object apart, whose keys are known.
func (s *scope) takeObject(v value, p ast.Object, then plan) step {
	slot, keys := s.temp(), p.Keys()
	var from func(i int) step
	from = func(i int) step {
		if i == len(keys) {
			return then()
		}
		if !s.known(keys[i]) {
			refuse("an object with variables for keys")
		}
		return s.unifyValue(s.dot(get, at(slot), keys[i]), p.Get(keys[i]), func() step { return from(i + 1) })
	}
	next := from(0)
	return store(v, slot, func(m *machine, f frame) signal {
		if o, ok := solid(f[slot]).Value.(ast.Object); !ok || o.Len() != len(keys) {
			return more
		}
		return next(m, f)
	})
}

// unifyPatterns plans the equality of two terms that both have unknown variables.
// Their parts are planned in an order in which one side of each is known.
func (s *scope) unifyPatterns(a, b *ast.Term, then plan) step {
	var pairs [][2]*ast.Term
	if !match(a, b, &pairs) {
		return func(*machine, frame) signal { return more }
	}
	return s.unifyPairs(pairs, then)
}

func (s *scope) unifyPairs(pairs [][2]*ast.Term, then plan) step {
	if len(pairs) == 0 {
		return then()
	}
	for i, p := range pairs {
		_, refA := p[0].Value.(ast.Ref)
		_, refB := p[1].Value.(ast.Ref)
		if !s.known(p[0]) && !s.known(p[1]) && !refA && !refB {
			continue
		}
		rest := append(append([][2]*ast.Term{}, pairs[:i]...), pairs[i+1:]...)
		return s.unify(p[0], p[1], func() step { return s.unifyPairs(rest, then) })
	}
	refuse("an equality of variables without values")
	return nil
}

// match takes two terms apart as far as both are composite; it says whether they
// can be equal.
func match(a, b *ast.Term, pairs *[][2]*ast.Term) bool {
	switch x := a.Value.(type) {
	case *ast.Array:
		if y, ok := b.Value.(*ast.Array); ok {
			if x.Len() != y.Len() {
				return false
			}
			for i := range x.Len() {
				if !match(x.Elem(i), y.Elem(i), pairs) {
					return false
				}
			}
			return true
		}
		if !leaf(b) {
			return false
		}
	case ast.Object:
		if y, ok := b.Value.(ast.Object); ok {
			return matchObjects(x, y, pairs)
		}
		if !leaf(b) {
			return false
		}
	}
	*pairs = append(*pairs, [2]*ast.Term{a, b})
	return true
}

// leaf says whether a term may have a value of any type.
func leaf(t *ast.Term) bool {
	switch t.Value.(type) {
	case ast.Var, ast.Ref, *ast.ArrayComprehension, *ast.ObjectComprehension, *ast.SetComprehension:
		return true
	}
	return false
}

func matchObjects(x, y ast.Object, pairs *[][2]*ast.Term) bool {
	if x.Len() != y.Len() {
		return false
	}
	for _, k := range x.Keys() {
		if !ast.IsConstant(k.Value) {
			refuse("an equality of objects with variables for keys")
		}
	}
	for _, k := range y.Keys() {
		if !ast.IsConstant(k.Value) {
			refuse("an equality of objects with variables for keys")
		}
		if x.Get(k) == nil {
			return false
		}
	}
	for _, k := range x.Keys() {
		if !match(x.Get(k), y.Get(k), pairs) {
			return false
		}
	}
	return true
}
