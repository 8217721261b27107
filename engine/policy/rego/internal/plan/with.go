package plan

import (
	"fmt"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"
)

// world is what rules are planned for: which of them, and which functions, a with
// has put something else in the place of. What depends on values alone is the
// machine's.
type world struct {
	*planner
	rulesets   map[string]*ruleset
	targets    []ast.Ref       // of data
	overridden bool            // some of data
	replaced   bool            // anything
	mocks      map[string]mock // by operator
	children   map[string]*world
}

// mock stands for a function: another one, or a value.
type mock struct {
	function ast.Ref
	slot     int
}

// planner is what all worlds share.
type planner struct {
	compiler   *ast.Compiler
	documents  ast.Object
	rules      int // how many have an id
	functions  int // how many of them have one more
	groups     int
	worlds     int
	mockValues int
}

// Limits of what is planned, far above what people write: each with that replaces
// rules has the rules that it concerns planned anew.
const (
	maxRules  = 20000
	maxWorlds = 1000
)

func (p *planner) nextRule() int {
	if p.rules++; p.rules > maxRules {
		refuse("so large a program")
	}
	return p.rules - 1
}

func (p *planner) nextFunction() int {
	p.functions++
	return p.functions - 1
}

func (p *planner) nextGroup() int {
	p.groups++
	return p.groups - 1
}

func (p *planner) newWorld() *world {
	if p.worlds++; p.worlds > maxWorlds {
		refuse("so many replacements")
	}
	return &world{planner: p, rulesets: map[string]*ruleset{}, children: map[string]*world{}}
}

// hidden says whether a with has put something in the place of a document.
func (w *world) hidden(path ast.Ref) bool {
	return slices.ContainsFunc(w.targets, path.HasPrefix)
}

// descend returns the world of an expression.
func (w *world) descend(targets []ast.Ref, mocks map[string]mock, key string) *world {
	if len(targets) == 0 && len(mocks) == 0 {
		return w
	}
	c, ok := w.children[key]
	if !ok {
		c = w.newWorld()
		c.replaced = true
		c.targets = append(slices.Clone(w.targets), targets...)
		c.overridden = len(c.targets) > 0
		c.mocks = maps.Clone(w.mocks)
		if c.mocks == nil {
			c.mocks = map[string]mock{}
		}
		maps.Copy(c.mocks, mocks)
		w.children[key] = c
	}
	return c
}

// unmocked is the world in which a function runs that stands for another one.
func (w *world) unmocked() *world {
	c, ok := w.children[""]
	if !ok {
		c = w.newWorld()
		c.replaced = true
		c.targets, c.overridden = w.targets, w.overridden
		w.children[""] = c
	}
	return c
}

// environment is what a with replaces.
type environment struct {
	input     *ast.Term
	overrides *ast.Term
	mocks     map[int]*ast.Term
	memory    *memory
}

func (m *machine) environment() environment {
	return environment{m.input, m.overrides, m.mocks, m.memory}
}

func (m *machine) restore(e environment) {
	m.input, m.overrides, m.mocks, m.memory = e.input, e.overrides, e.mocks, e.memory
}

// replacement is one with modifier.
type replacement struct {
	target ast.Ref
	value  value
	slot   int
}

// replacements are the modifiers of an expression.
type replacements struct {
	input, data, mocks []replacement
}

// with plans an expression with modifiers.
func (s *scope) with(e *ast.Expr, then plan) step {
	s.touch()
	outer := s.world
	r, inner := s.replacements(e.With)
	s.world = inner
	run := s.bare(e, func() step {
		s.world = outer
		next := then()
		s.world = inner
		return func(m *machine, f frame) signal {
			inside := m.environment()
			last := len(m.outside) - 1
			outside := m.outside[last]
			m.outside = m.outside[:last]
			m.restore(outside)
			sig := next(m, f)
			m.outside = append(m.outside, outside)
			m.restore(inside)
			return sig
		}
	})
	s.world = outer
	return func(m *machine, f frame) signal {
		outside := m.environment()
		if !r.apply(m, f) {
			m.restore(outside)
			return m.nothing()
		}
		m.outside = append(m.outside, outside)
		sig := run(m, f)
		m.outside = m.outside[:len(m.outside)-1]
		m.restore(outside)
		return sig
	}
}

// replacements reads modifiers, and makes the world that they lead to.
func (s *scope) replacements(list []*ast.With) (*replacements, *world) {
	r := &replacements{}
	var targets []ast.Ref
	mocks := map[string]mock{}
	key := ""
	for _, w := range list {
		target := w.Target.Value.(ast.Ref)
		switch {
		case s.isFunction(target), !target.HasPrefix(ast.InputRootRef) && !target.HasPrefix(ast.DefaultRootRef):
			if by, ok := w.Value.Value.(ast.Ref); ok && s.isFunction(by) {
				mocks[target.String()] = mock{function: by}
				key += fmt.Sprintf("%v as %v\n", target, by)
				continue
			}
			key += fmt.Sprintf("%v as a value %d\n", target, s.mockValues)
			mocks[target.String()] = mock{slot: s.mockValues}
			r.mocks = append(r.mocks, replacement{slot: s.mockValues, value: s.value(w.Value)})
			s.mockValues++
		case target.HasPrefix(ast.InputRootRef):
			r.input = append(r.input, replacement{target: target, value: s.value(w.Value)})
		default:
			targets = append(targets, target)
			key += fmt.Sprintf("%v\n", target)
			r.data = append(r.data, replacement{target: target, value: s.value(w.Value)})
		}
	}
	return r, s.descend(targets, mocks, key)
}

func (p *planner) isFunction(ref ast.Ref) bool {
	_, ok := p.compiler.TypeEnv.GetByRef(ref).(*types.Function)
	return ok
}

// apply replaces; it says whether all values are defined.
func (r *replacements) apply(m *machine, f frame) bool {
	input, ok1 := replaced(m, f, m.input, r.input)
	data, ok2 := replaced(m, f, m.overrides, r.data)
	if !ok1 || !ok2 {
		return false
	}
	if len(r.mocks) > 0 {
		mocks := maps.Clone(m.mocks)
		if mocks == nil {
			mocks = map[int]*ast.Term{}
		}
		for _, x := range r.mocks {
			t := x.value(m, f)
			if t == nil {
				return false
			}
			mocks[x.slot] = t
		}
		m.mocks = mocks
	}
	m.input, m.overrides, m.memory = input, data, m.program.newMemory()
	return true
}

// replaced returns a document with replacements in it.
func replaced(m *machine, f frame, document *ast.Term, list []replacement) (*ast.Term, bool) {
	copied := false
	for i, r := range list {
		t := r.value(m, f)
		if t == nil {
			return nil, false
		}
		solid(t)
		if slices.ContainsFunc(list[i+1:], func(other replacement) bool {
			return len(other.target) > len(r.target) && other.target.HasPrefix(r.target)
		}) {
			t = t.Copy()
		}
		if len(r.target) == 1 {
			document, copied = t, true
			continue
		}
		if !copied && document != nil {
			document = solid(document).Copy()
		}
		copied = true
		document = put(document, r.target, t)
	}
	return document, true
}

// put puts a value where a reference leads to.
func put(document *ast.Term, target ast.Ref, t *ast.Term) *ast.Term {
	if document == nil {
		return tree(target[1:], t)
	}
	node := document
	for i := 1; i < len(target)-1; i++ {
		o, ok := node.Value.(ast.Object)
		if !ok {
			return tree(target[i:], t)
		}
		child := o.Get(target[i])
		if child == nil {
			o.Insert(target[i], tree(target[i+1:], t))
			return document
		}
		if _, ok := child.Value.(ast.Object); !ok {
			o.Insert(target[i], tree(target[i+1:], t))
			return document
		}
		node = child
	}
	last := target[len(target)-1:]
	o, ok := node.Value.(ast.Object)
	if !ok {
		return tree(last, t)
	}
	o.Insert(last[0], t)
	return document
}

func tree(path ast.Ref, t *ast.Term) *ast.Term {
	for _, key := range slices.Backward(path) {
		t = ast.ObjectTerm(ast.Item(key, t))
	}
	return t
}

// mocked plans a call of what stands for a function.
func (s *scope) mocked(m mock, operator ast.Ref, terms []*ast.Term, then plan) step {
	if m.function == nil {
		t, ok := s.compiler.TypeEnv.GetByRef(operator).(*types.Function)
		if !ok {
			refuse("a value for %v", operator)
		}
		var out *ast.Term
		if len(terms) == t.Arity()+2 {
			out = terms[len(terms)-1]
		}
		return s.taken(func(machine *machine, _ frame) *ast.Term { return machine.mocks[m.slot] }, out, then)
	}
	outer := s.world
	s.world = outer.unmocked()
	call := append([]*ast.Term{ast.NewTerm(m.function)}, terms[1:]...)
	inner := s.world
	run := s.call(call, func() step {
		s.world = outer
		next := then()
		s.world = inner
		return next
	})
	s.world = outer
	return run
}

// resolve returns what is at a reference into data, as documents and replacements
// have it.
func (m *machine) resolve(w *world, ref ast.Ref) ast.Value {
	var by ast.Value
	if m.overrides != nil {
		if v, err := m.overrides.Value.Find(ref[1:]); err == nil {
			by = v
		}
	}
	if w.hidden(ref) {
		return by
	}
	t := find(w.documents, ref)
	switch {
	case t == nil:
		return by
	case by == nil:
		return t.Value
	}
	return merge(by, t.Value)
}

// replacedDocument plans the document at a place where some may be replaced.
func (s *scope) replacedDocument(p place) value {
	w := s.world
	return func(m *machine, f frame) *ast.Term {
		ref := make(ast.Ref, 1, len(p.path))
		ref[0] = p.path[0]
		for _, key := range p.keys {
			t := key(m, f)
			if t == nil {
				return nil
			}
			ref = append(ref, t)
		}
		v := m.resolve(w, ref)
		if v == nil {
			return nil
		}
		return ast.NewTerm(v)
	}
}
