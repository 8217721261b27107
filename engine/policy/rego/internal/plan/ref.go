package plan

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// refValue plans a reference whose variables are known.
func (s *scope) refValue(ref ast.Ref) value {
	if ref[0].Equal(ast.DefaultRootDocument) {
		return s.dataValue(ref)
	}
	return s.dots(get, s.value(ref[0]), ref[1:])
}

// ref plans what is to be done with each value of a reference.
func (s *scope) ref(ref ast.Ref, use func(value) step) step {
	if ref[0].Equal(ast.DefaultRootDocument) {
		return s.data(ref, use)
	}
	return s.path(get, s.value(ref[0]), ref[1:], use)
}

// path plans a way down from a value.
func (s *scope) path(look access, v value, keys []*ast.Term, use func(value) step) step {
	i := slices.IndexFunc(keys, func(key *ast.Term) bool { return !s.known(key) })
	if i < 0 {
		return use(s.dots(look, v, keys))
	}
	v = s.dots(look, v, keys[:i])
	return s.scan(v, keys[i], func(element value) step { return s.path(look, element, keys[i+1:], use) })
}

// scan plans a visit of all elements of a collection, with their keys.
func (s *scope) scan(of value, key *ast.Term, use func(value) step) step {
	element, name := s.temp(), s.temp()
	var next step
	if v, ok := s.unbound(key); ok {
		name = s.bind(v)
		next = use(at(element))
	} else {
		next = s.unifyValue(at(name), key, func() step { return use(at(element)) })
	}
	return func(m *machine, f frame) signal {
		t := of(m, f)
		if t == nil {
			return m.nothing()
		}
		return m.scan(t, func(k, v *ast.Term) signal {
			f[name], f[element] = k, v
			return next(m, f)
		})
	}
}

// scan visits the elements of a collection in their order.
func (m *machine) scan(t *ast.Term, visit func(k, v *ast.Term) signal) signal {
	switch c := t.Value.(type) {
	case *Part:
		return c.scan(m, visit)
	case *ast.Array:
		for i := range c.Len() {
			if m.tick() {
				return halt
			}
			if s := visit(ast.InternedTerm(i), c.Elem(i)); s != more {
				return s
			}
		}
	case ast.Object:
		keys := c.KeysIterator()
		for k, ok := keys.Next(); ok; k, ok = keys.Next() {
			if m.tick() {
				return halt
			}
			if s := visit(k, c.Get(k)); s != more {
				return s
			}
		}
	case ast.Set:
		for _, e := range c.Slice() {
			if m.tick() {
				return halt
			}
			if s := visit(e, e); s != more {
				return s
			}
		}
	}
	return more
}
