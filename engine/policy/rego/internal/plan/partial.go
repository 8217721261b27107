package plan

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// object is what is known of a partial object under construction.
type object struct {
	*ruleset
	paths []ast.Ref // that have been given values, where names have several lengths
}

// virtual plans a reference at rules, and what lies below them.
func (s *scope) virtual(ref ast.Ref, p place, found func(value) step) step {
	r := s.ruleset(p)
	rest := ref[len(p.path):]
	if r.function {
		return func(*machine, frame) signal { return more }
	}
	if !r.partial || !s.known(rest[0]) {
		return s.path(get, s.rule(r), rest, found)
	}
	var given []int
	var keys []value
	for i, key := range rest {
		if !s.known(key) {
			continue
		}
		given, keys = append(given, i), append(keys, s.value(key))
	}
	v := r.with(given)
	if r.impure {
		s.touch()
	}
	return s.path(get, func(m *machine, f frame) *ast.Term { return r.part(m, f, v, keys) }, rest, found)
}

// part evaluates as much of the rules as the keys ask for.
func (r *ruleset) part(m *machine, f frame, v *variant, keys []value) *ast.Term {
	if t := m.memory.rules[r.id]; t != nil {
		return t
	}
	start, ok := m.all(keys, f)
	if !ok {
		return nil
	}
	params := m.args[start:len(m.args):len(m.args)]
	t := r.evaluate(m, v, params, nil)
	m.args = m.args[:start]
	return t
}

// entry adds to an object.
func (s *scope) entry(source *ast.Rule) step {
	path := source.Ref()[len(s.rules.ref):]
	keys := s.values(path)
	var last value
	if source.Head.RuleKind() == ast.SingleValue {
		last = s.value(source.Head.Value)
	} else {
		last = s.value(source.Head.Key)
	}
	return func(m *machine, f frame) signal {
		at := make(ast.Ref, len(keys))
		for i, k := range keys {
			t := k(m, f)
			if t == nil {
				return m.nothing()
			}
			at[i] = solid(t)
		}
		t := last(m, f)
		if t == nil {
			return m.nothing()
		}
		if !m.objects[len(m.objects)-1].insert(f[slotResult].Value.(ast.Object), source, at, solid(t)) {
			return m.fail(&topdown.Error{Code: topdown.ConflictErr, Location: source.Head.Location, Message: "object keys must be unique"})
		}
		return more
	}
}

// insert puts a value into an object, or into a set within it. It says whether it
// agrees with what is there.
func (o *object) insert(into ast.Object, source *ast.Rule, path ast.Ref, t *ast.Term) bool {
	if o.uneven {
		for _, other := range o.paths {
			if len(path) > len(other) && path.HasPrefix(other) {
				return false
			}
		}
		o.paths = append(o.paths, path)
	}
	last := len(path) - 1
	for _, key := range path[:last] {
		child := into.Get(key)
		if child == nil {
			child = ast.ObjectTerm()
			into.Insert(key, child)
		}
		var ok bool
		if into, ok = child.Value.(ast.Object); !ok {
			return false
		}
	}
	there := into.Get(path[last])
	if source.Head.RuleKind() == ast.SingleValue {
		if there == nil {
			into.Insert(path[last], t)
		}
		return there == nil || there.Equal(t)
	}
	if there == nil {
		there = ast.SetTerm()
		into.Insert(path[last], there)
	}
	set, ok := there.Value.(ast.Set)
	if ok {
		set.Add(t)
	}
	return ok
}
