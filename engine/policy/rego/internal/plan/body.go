package plan

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// plan makes the rest of a body, when what comes before it has been planned and its
// variables are known.
type plan func() step

// body plans expressions one after the other.
func (s *scope) body(b ast.Body, then plan) step {
	if len(b) == 0 {
		return then()
	}
	return s.expression(b[0], func() step { return s.body(b[1:], then) })
}

func (s *scope) expression(e *ast.Expr, then plan) step {
	outer := s.expr
	s.expr = e
	rest := func() step {
		s.expr = outer
		return then()
	}
	if len(e.With) > 0 {
		return s.with(e, rest)
	}
	return s.bare(e, rest)
}

// bare plans an expression without its modifiers.
func (s *scope) bare(e *ast.Expr, then plan) step {
	if e.Negated {
		if t, ok := e.Terms.(*ast.Term); ok && s.known(t) {
			return unlessTrue(s.value(t), then())
		}
		positive := *e
		positive.Negated, positive.With = false, nil
		return s.not(ast.Body{&positive}, then)
	}
	switch terms := e.Terms.(type) {
	case *ast.Term:
		return s.truth(terms, then)
	case []*ast.Term:
		if e.IsEquality() {
			return s.unify(terms[1], terms[2], then)
		}
		return s.call(terms, then)
	case *ast.Every:
		return s.every(terms, then)
	case *ast.Not:
		return s.not(terms.Body, then)
	case *ast.LogicalAnd:
		return both(s.holds(terms.Lhs, true), s.holds(terms.Rhs, true), then())
	case *ast.LogicalOr:
		return either(s.holds(terms.Lhs, true), s.holds(terms.Rhs, true), then())
	}
	refuse("an expression of type %T", e.Terms)
	return nil
}

// truth plans a term that stands alone: it holds unless it is false.
func (s *scope) truth(t *ast.Term, then plan) step {
	return s.each(t, func(v value) step { return unlessFalse(v, then()) })
}

func unlessFalse(v value, next step) step {
	return func(m *machine, f frame) signal {
		t := v(m, f)
		if t == nil {
			return m.nothing()
		}
		if isFalse(t) {
			return more
		}
		return next(m, f)
	}
}

func unlessTrue(v value, next step) step {
	return func(m *machine, f frame) signal {
		switch t := v(m, f); {
		case m.err != nil:
			return halt
		case t != nil && !isFalse(t):
			return more
		}
		return next(m, f)
	}
}

func isFalse(t *ast.Term) bool {
	b, ok := t.Value.(ast.Boolean)
	return ok && !bool(b)
}

// each plans what is to be done with each value of a term.
func (s *scope) each(t *ast.Term, use func(value) step) step {
	if ref, ok := t.Value.(ast.Ref); ok && !s.known(t) {
		return s.ref(ref, use)
	}
	return use(s.value(t))
}

// condition says whether a body has a solution, or with halt that there is an error.
type condition func(m *machine, f frame) (holds bool, failed bool)

// holds plans a body as a condition. With one the first solution is enough;
// otherwise the others are looked for too, because one may be an error.
func (s *scope) holds(b ast.Body, one bool) condition {
	inner := s.closure()
	found := s.temp()
	enough := more
	if one {
		enough = done
	}
	run := inner.body(b, func() step {
		return func(_ *machine, f frame) signal {
			f[found] = ast.InternedBooleanTrue
			return enough
		}
	})
	return func(m *machine, f frame) (bool, bool) {
		f[found] = nil
		if run(m, f) == halt {
			return false, true
		}
		return f[found] != nil, false
	}
}

func (s *scope) not(b ast.Body, then plan) step {
	holds := s.holds(b, false)
	next := then()
	return func(m *machine, f frame) signal {
		yes, failed := holds(m, f)
		switch {
		case failed:
			return halt
		case yes:
			return more
		}
		return next(m, f)
	}
}

func both(a, b condition, next step) step {
	return func(m *machine, f frame) signal {
		for _, c := range [...]condition{a, b} {
			switch yes, failed := c(m, f); {
			case failed:
				return halt
			case !yes:
				return more
			}
		}
		return next(m, f)
	}
}

func either(a, b condition, next step) step {
	return func(m *machine, f frame) signal {
		for _, c := range [...]condition{a, b} {
			switch yes, failed := c(m, f); {
			case failed:
				return halt
			case yes:
				return next(m, f)
			}
		}
		return more
	}
}

// every plans a condition on all elements of a collection.
func (s *scope) every(e *ast.Every, then plan) step {
	domain := s.value(e.Domain)
	refuted := s.temp()
	elements := s.closure()
	visit := elements.scan(domain, e.Key, func(v value) step {
		return elements.unifyValue(v, e.Value, func() step {
			body := elements.holds(e.Body, true)
			return func(m *machine, f frame) signal {
				yes, failed := body(m, f)
				switch {
				case failed:
					return halt
				case yes:
					return more
				}
				f[refuted] = ast.InternedBooleanTrue
				return done
			}
		})
	})
	next := then()
	return func(m *machine, f frame) signal {
		t := domain(m, f)
		if t == nil {
			return m.nothing()
		}
		if !iterable(t) {
			return more
		}
		f[refuted] = nil
		if visit(m, f) == halt {
			return halt
		}
		if f[refuted] != nil {
			return more
		}
		return next(m, f)
	}
}

func iterable(t *ast.Term) bool {
	switch t.Value.(type) {
	case *Part, *ast.Array, ast.Object, ast.Set:
		return true
	}
	return false
}
