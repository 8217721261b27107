package plan

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
)

// place is where a reference into data has come to, in the tree of rules and in the
// documents.
type place struct {
	node *ast.TreeNode // nil: there are no rules any more
	path []*ast.Term   // with a variable for what is only known at run time
	keys []value
}

func (p place) below(node *ast.TreeNode, key *ast.Term, v value) place {
	return place{node, append(p.path[:len(p.path):len(p.path)], key), append(p.keys[:len(p.keys):len(p.keys)], v)}
}

func (s *scope) root() place {
	return place{node: s.compiler.RuleTree.Child(ast.DefaultRootDocument.Value), path: []*ast.Term{ast.DefaultRootDocument}}
}

// dataValue plans a reference into data whose variables are known.
func (s *scope) dataValue(ref ast.Ref) value {
	if v := s.direct(ref); v != nil {
		return v
	}
	result := s.temp()
	run := s.data(ref, func(v value) step {
		return store(v, result, func(*machine, frame) signal { return done })
	})
	return func(m *machine, f frame) *ast.Term {
		f[result] = nil
		if run(m, f) == halt {
			return nil
		}
		return f[result]
	}
}

// direct plans the common case: a document, or a rule with one value.
func (s *scope) direct(ref ast.Ref) value {
	p := s.root()
	for i := 1; i < len(ref); i++ {
		key := ref[i]
		if !ast.IsScalar(key.Value) || p.node == nil {
			break
		}
		p = p.below(s.child(p, key), key, constant(key))
		if p.node == nil || len(p.node.Values) == 0 {
			continue
		}
		r := s.ruleset(p)
		if r.partial && i < len(ref)-1 || r.function {
			return nil
		}
		return s.dots(get, s.rule(r), ref[i+1:])
	}
	if p.node != nil || s.overridden {
		return nil
	}
	t := find(s.documents, p.path)
	if t == nil {
		return func(*machine, frame) *ast.Term { return nil }
	}
	v := constant(t)
	for _, key := range ref[len(p.path):] {
		if ast.IsScalar(key.Value) && t != nil {
			if t = read(t, key); t != nil {
				v = constant(t)
				continue
			}
			return func(*machine, frame) *ast.Term { return nil }
		}
		t = nil
		v = s.dot(read, v, key)
	}
	return v
}

// find follows a path, whose head is data itself, through documents.
func find(documents ast.Object, path []*ast.Term) *ast.Term {
	t := ast.NewTerm(documents)
	for _, key := range path[1:] {
		if t = read(t, key); t == nil {
			return nil
		}
	}
	return t
}

// read looks a key up in a document. OPA addresses documents by paths of strings,
// in which a number is as good as the string that looks like it.
func read(t, key *ast.Term) *ast.Term {
	if found := get(t, key); found != nil {
		return found
	}
	switch k := key.Value.(type) {
	case ast.Number:
		if o, ok := t.Value.(ast.Object); ok {
			return o.Get(ast.StringTerm(k.String()))
		}
	case ast.String:
		if a, ok := t.Value.(*ast.Array); ok {
			if i, ok := util.Atoi(string(k)); ok && i >= 0 && i < a.Len() {
				return a.Elem(i)
			}
		}
	}
	return nil
}

// child returns the rules below a place, unless a with hides them.
func (s *scope) child(p place, key *ast.Term) *ast.TreeNode {
	path := append(ast.Ref(p.path[:len(p.path):len(p.path)]), key)
	if p.node == nil || s.hidden(path) {
		return nil
	}
	return p.node.Child(key.Value)
}

// data plans what is to be done with each value of a reference into data.
func (s *scope) data(ref ast.Ref, use func(value) step) step {
	result := s.temp()
	var next step
	// There is a plan for each way through the rules, and one for what comes after.
	found := func(v value) step {
		return store(v, result, func(m *machine, f frame) signal { return next(m, f) })
	}
	run := s.closure().walk(ref, s.root(), found)
	for _, key := range ref[1:] {
		s.bindAll(key)
	}
	next = use(at(result))
	return run
}

// bindAll marks the variables of a key, which have their values when there is a result.
func (s *scope) bindAll(key *ast.Term) {
	switch v := key.Value.(type) {
	case ast.Var:
		if !s.known(key) {
			s.bind(v)
		}
	case *ast.Array:
		v.Foreach(s.bindAll)
	case ast.Object:
		v.Foreach(func(k, e *ast.Term) {
			s.bindAll(k)
			s.bindAll(e)
		})
	}
}

// walk plans the way of a reference through rules and documents.
func (s *scope) walk(ref ast.Ref, p place, found func(value) step) step {
	i := len(p.path)
	if i == len(ref) {
		return found(s.extent(p))
	}
	if p.node != nil && len(p.node.Values) > 0 {
		return s.virtual(ref, p, found)
	}
	key := ref[i]
	switch {
	case p.node == nil && !s.overridden:
		return s.path(read, s.document(p), ref[i:], found)
	case ast.IsScalar(key.Value):
		return s.walk(ref, p.below(s.child(p, key), key, constant(key)), found)
	case s.known(key):
		return s.branch(ref, p, s.value(key), found)
	}
	return s.enumerate(ref, p, found)
}

// branch plans a key that is known when the plan runs.
func (s *scope) branch(ref ast.Ref, p place, key value, found func(value) step) step {
	choice := s.temp()
	ways, other := s.ways(ref, p, choice, found)
	return store(key, choice, func(m *machine, f frame) signal {
		for _, w := range ways {
			if w.key.Equal(f[choice]) {
				return w.run(m, f)
			}
		}
		return other(m, f)
	})
}

// way is a plan for one key.
type way struct {
	key *ast.Term
	run step
}

// ways plans each key that there are rules below, and the others.
func (s *scope) ways(ref ast.Ref, p place, choice int, found func(value) step) (ways []way, other step) {
	if p.node != nil {
		for _, k := range p.node.Sorted {
			key := ast.NewTerm(k)
			next := p.below(s.child(p, key), key, constant(key))
			ways = append(ways, way{key, s.closure().walk(ref, next, found)})
		}
	}
	key := ref[len(p.path)]
	return ways, s.closure().walk(ref, p.below(nil, key, at(choice)), found)
}

// enumerate plans a key without a value: all keys of documents and rules.
func (s *scope) enumerate(ref ast.Ref, p place, found func(value) step) step {
	key := ref[len(p.path)]
	choice := s.temp()
	inner := s.closure()
	var ways []way
	var other step
	each := inner.unifyValue(at(choice), key, func() step {
		ways, other = inner.ways(ref, p, choice, found)
		return func(m *machine, f frame) signal {
			for _, w := range ways {
				if w.key.Equal(f[choice]) {
					return w.run(m, f)
				}
			}
			return other(m, f)
		}
	})
	document := s.document(p)
	return func(m *machine, f frame) signal {
		doc := document(m, f)
		if m.err != nil {
			return halt
		}
		if doc != nil {
			sig := m.scan(doc, func(k, _ *ast.Term) signal {
				f[choice] = k
				return each(m, f)
			})
			if sig != more {
				return sig
			}
		}
		for _, w := range ways {
			if doc != nil && hasKey(doc, w.key) {
				continue
			}
			f[choice] = w.key
			if sig := each(m, f); sig != more {
				return sig
			}
		}
		return more
	}
}

func hasKey(t, key *ast.Term) bool { return get(t, key) != nil }

// document plans the data document at a place.
func (s *scope) document(p place) value {
	if s.overridden {
		return s.replacedDocument(p)
	}
	for i, key := range p.path {
		if ast.IsScalar(key.Value) || i == 0 {
			continue
		}
		v := constantOrNothing(find(s.documents, p.path[:i]))
		for _, k := range p.keys[i-1:] {
			v = dot(read, v, k)
		}
		return v
	}
	return constantOrNothing(find(s.documents, p.path))
}

func constantOrNothing(t *ast.Term) value { return func(*machine, frame) *ast.Term { return t } }

// extent plans all that there is at a place: documents and the values of rules.
func (s *scope) extent(p place) value {
	if p.node != nil && len(p.node.Values) > 0 {
		if r := s.ruleset(p); !r.function {
			return s.rule(r)
		}
		return constantOrNothing(nil)
	}
	document := s.document(p)
	if p.node == nil {
		return document
	}
	leaves := s.leaves(p)
	return func(m *machine, f frame) *ast.Term {
		doc := document(m, f)
		if m.err != nil {
			return nil
		}
		virtual := leaves(m, f)
		if doc == nil || virtual == nil {
			return virtual
		}
		return ast.NewTerm(merge(doc.Value, virtual.Value))
	}
}

// leaves plans the object of all rules below a place.
func (s *scope) leaves(p place) value {
	var keys []*ast.Term
	var values []value
	for _, k := range p.node.Sorted {
		child := p.node.Children[k]
		key := ast.NewTerm(child.Key)
		below := p.below(s.child(p, key), key, constant(key))
		if child.Hide {
			continue
		}
		var v value
		switch {
		case len(child.Values) == 0 && below.node != nil:
			v = s.leaves(below)
		case len(child.Values) == 0:
			v = s.leaves(place{child, below.path, below.keys})
		default:
			v = s.extent(below)
		}
		keys, values = append(keys, key), append(values, v)
	}
	return func(m *machine, f frame) *ast.Term {
		o := ast.NewObject()
		for i, v := range values {
			t := v(m, f)
			if m.err != nil {
				return nil
			}
			if t != nil {
				o.Insert(keys[i], solid(t))
			}
		}
		return ast.NewTerm(o)
	}
}

// merge adds the keys of b that a does not have; a wins.
func merge(a, b ast.Value) ast.Value {
	x, ok1 := a.(ast.Object)
	y, ok2 := b.(ast.Object)
	if !ok1 || !ok2 {
		return a
	}
	merged := ast.NewObjectWithCapacity(x.Len() + y.Len())
	x.Foreach(func(k, v *ast.Term) {
		if w := y.Get(k); w != nil {
			v = ast.NewTerm(merge(v.Value, w.Value))
		}
		merged.Insert(k, v)
	})
	y.Foreach(func(k, v *ast.Term) {
		if x.Get(k) == nil {
			merged.Insert(k, v)
		}
	})
	return merged
}
