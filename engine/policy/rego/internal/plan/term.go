package plan

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// value plans a term whose variables are known.
func (s *scope) value(t *ast.Term) value {
	switch v := t.Value.(type) {
	case ast.Var:
		return s.variable(v)
	case ast.Ref:
		return s.refValue(v)
	case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
		return s.comprehension(t)
	}
	if ast.IsConstant(t.Value) {
		return constant(ordered(ast.NewTerm(t.Value)))
	}
	switch v := t.Value.(type) {
	case *ast.Array:
		return s.array(v)
	case ast.Object:
		return s.object(v)
	case ast.Set:
		return s.set(v)
	}
	refuse("a term %s", ast.ValueName(t.Value))
	return nil
}

func (s *scope) variable(v ast.Var) value {
	switch {
	case v == "input":
		return s.inputValue()
	case v == "data":
		return s.refValue(ast.DefaultRootRef)
	case !s.bound[v]:
		refuse("variable %v without a value", v)
	}
	return at(s.slot(v))
}

func (s *scope) inputValue() value {
	s.touch()
	return func(m *machine, _ frame) *ast.Term { return m.input }
}

func (s *scope) values(terms []*ast.Term) []value {
	list := make([]value, len(terms))
	for i, t := range terms {
		list[i] = s.value(t)
	}
	return list
}

// all evaluates values; it reports whether each is defined. They lie on the stack
// of arguments from the returned place on.
func (m *machine) all(values []value, f frame) (start int, ok bool) {
	start = len(m.args)
	for _, v := range values {
		t := v(m, f)
		if t == nil {
			m.args = m.args[:start]
			return start, false
		}
		m.args = append(m.args, t)
	}
	return start, true
}

func (s *scope) array(a *ast.Array) value {
	elements := make([]value, a.Len())
	for i := range elements {
		elements[i] = s.value(a.Elem(i))
	}
	return func(m *machine, f frame) *ast.Term {
		terms := make([]*ast.Term, len(elements))
		for i, e := range elements {
			t := e(m, f)
			if t == nil {
				return nil
			}
			terms[i] = solid(t)
		}
		return ast.NewTerm(ast.NewArray(terms...))
	}
}

func (s *scope) object(o ast.Object) value {
	var keys, values []value
	for _, k := range o.Keys() {
		keys, values = append(keys, s.value(k)), append(values, s.value(o.Get(k)))
	}
	return func(m *machine, f frame) *ast.Term {
		pairs := make([][2]*ast.Term, len(keys))
		for i := range keys {
			k := keys[i](m, f)
			if k == nil {
				return nil
			}
			v := values[i](m, f)
			if v == nil {
				return nil
			}
			pairs[i] = [2]*ast.Term{solid(k), solid(v)}
		}
		return ast.NewTerm(ast.NewObject(pairs...))
	}
}

func (s *scope) set(set ast.Set) value {
	elements := s.values(set.Slice())
	return func(m *machine, f frame) *ast.Term {
		start, ok := m.all(elements, f)
		if !ok {
			return nil
		}
		t := ast.SetTerm(allSolid(m.args[start:])...)
		m.args = m.args[:start]
		return t
	}
}

// access looks a key up in a value: [get], or [read] in documents.
type access func(t, key *ast.Term) *ast.Term

// dot plans looking a key up that is known.
func (s *scope) dot(look access, of value, key *ast.Term) value {
	if name, ok := key.Value.(ast.String); ok {
		return named(look, of, key, numberOf(string(name)))
	}
	return dot(look, of, s.value(key))
}

// dots plans looking up one known key after the other. Two names are looked up at once:
// there are many such, and each step is memory that has to be fetched.
func (s *scope) dots(look access, v value, keys []*ast.Term) value {
	for len(keys) > 0 {
		if len(keys) > 1 {
			one, ok1 := keys[0].Value.(ast.String)
			two, ok2 := keys[1].Value.(ast.String)
			if ok1 && ok2 {
				v = namedTwice(look, v, keys[0], keys[1], numberOf(string(one)), numberOf(string(two)))
				keys = keys[2:]
				continue
			}
		}
		v = s.dot(look, v, keys[0])
		keys = keys[1:]
	}
	return v
}

// named plans looking up a name, which has a number where parts of some kind have it.
func named(look access, of value, key *ast.Term, number int) value {
	return func(m *machine, f frame) *ast.Term {
		t := of(m, f)
		if t == nil {
			return nil
		}
		return member(look, t, key, number)
	}
}

func namedTwice(look access, of value, one, two *ast.Term, first, second int) value {
	return func(m *machine, f frame) *ast.Term {
		t := of(m, f)
		if t == nil {
			return nil
		}
		if t = member(look, t, one, first); t == nil {
			return nil
		}
		return member(look, t, two, second)
	}
}

// member looks up a name in a value.
func member(look access, t, key *ast.Term, number int) *ast.Term {
	p, ok := t.Value.(*Part)
	if !ok || p.kind == nil || number < 0 {
		return look(t, key)
	}
	if i := p.kind.place(number); i >= 0 {
		return p.at(i)
	}
	return nil
}

// dot plans looking a key up.
func dot(look access, of, key value) value {
	return func(m *machine, f frame) *ast.Term {
		t := of(m, f)
		if t == nil {
			return nil
		}
		k := key(m, f)
		if k == nil {
			return nil
		}
		return look(t, k)
	}
}

// get looks a key up in a value.
func get(t, key *ast.Term) *ast.Term {
	if p, ok := t.Value.(*Part); ok {
		return p.get(key)
	}
	solid(key)
	switch v := t.Value.(type) {
	case ast.Object:
		return v.Get(key)
	case *ast.Array:
		return v.Get(key)
	case ast.Set:
		if v.Contains(key) {
			return key
		}
	}
	return nil
}
