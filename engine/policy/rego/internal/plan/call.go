package plan

import (
	"errors"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// call plans a call that stands alone, with or without a term for its result.
func (s *scope) call(terms []*ast.Term, then plan) step {
	operator := terms[0].Value.(ast.Ref)
	if m, ok := s.mocks[operator.String()]; ok {
		return s.mocked(m, operator, terms, then)
	}
	if operator[0].Equal(ast.DefaultRootDocument) {
		return s.callRules(operator, terms[1:], then)
	}
	return s.callBuiltin(operator.String(), terms[1:], then)
}

// callRules plans a call of a function that is made of rules.
func (s *scope) callRules(operator ast.Ref, operands []*ast.Term, then plan) step {
	node := s.compiler.RuleTree.Find(operator)
	if node == nil || len(node.Values) == 0 {
		return func(*machine, frame) signal { return more }
	}
	r := s.rulesetOf(operator, node)
	defer func() {
		if r.impure {
			s.touch()
		}
	}()
	arity := len(node.Values[0].Head.Args)
	args := s.values(operands[:arity])
	var given []int
	for i := range arity {
		given = append(given, i)
	}
	if len(operands) == arity {
		v := r.with(given)
		return s.taken(func(m *machine, f frame) *ast.Term { return r.call(m, f, v, args) }, nil, then)
	}
	out := operands[arity]
	if !s.known(out) {
		v := r.with(given)
		return s.taken(func(m *machine, f frame) *ast.Term { return r.call(m, f, v, args) }, out, then)
	}
	// The result is known: rules that give another one are not looked at.
	v := r.with(append(given, arity))
	args = append(args, s.value(out))
	return s.taken(func(m *machine, f frame) *ast.Term { return r.callFor(m, f, v, args) }, out, then)
}

// taken plans what is done with the result of a call.
func (s *scope) taken(v value, out *ast.Term, then plan) step {
	if out != nil {
		return s.unifyValue(v, out, then)
	}
	return unlessFalse(v, then())
}

// call evaluates a function, or remembers what it gave for the same arguments.
func (r *ruleset) call(m *machine, f frame, v *variant, args []value) *ast.Term {
	start, ok := m.all(args, f)
	if !ok {
		return nil
	}
	params := m.args[start:len(m.args):len(m.args)]
	known := &m.memory.calls[r.callID]
	t, ok := known.get(params)
	if !ok {
		if t = r.evaluate(m, v, params, params); m.err == nil {
			known.put(params, t)
		}
	}
	m.args = m.args[:start]
	return t
}

func (r *ruleset) callFor(m *machine, f frame, v *variant, args []value) *ast.Term {
	start, ok := m.all(args, f)
	if !ok {
		return nil
	}
	params := m.args[start:len(m.args):len(m.args)]
	t := r.evaluate(m, v, params, params)
	m.args = m.args[:start]
	return t
}

// calls are the results of a function, by arguments.
type calls struct {
	args    []*ast.Term // of one call after the other
	results []*ast.Term
	byHash  map[int][]int
}

// fewCalls is how many calls are compared one by one, before they are hashed.
const fewCalls = 8

func (c *calls) forget() {
	if len(c.results) > 0 {
		*c = calls{args: emptied(c.args), results: emptied(c.results)}
	}
}

func (c *calls) get(args []*ast.Term) (*ast.Term, bool) {
	if c.byHash == nil {
		for i, t := range c.results {
			if same(c.of(i, len(args)), args) {
				return t, true
			}
		}
		return nil, false
	}
	for _, i := range c.byHash[hash(args)] {
		if same(c.of(i, len(args)), args) {
			return c.results[i], true
		}
	}
	return nil, false
}

// of returns the arguments of a call.
func (c *calls) of(i, arity int) []*ast.Term { return c.args[i*arity:][:arity] }

func (c *calls) put(args []*ast.Term, result *ast.Term) {
	c.args, c.results = append(c.args, args...), append(c.results, result)
	n := len(c.results)
	switch {
	case n < fewCalls:
		return
	case c.byHash == nil:
		c.byHash = map[int][]int{}
		for i := range n - 1 {
			h := hash(c.of(i, len(args)))
			c.byHash[h] = append(c.byHash[h], i)
		}
	}
	h := hash(args)
	c.byHash[h] = append(c.byHash[h], n-1)
}

func hash(args []*ast.Term) int {
	h := 0
	for _, a := range args {
		h = h*31 + a.Hash()
	}
	return h
}

func same(a, b []*ast.Term) bool {
	for i := range a {
		if a[i] != b[i] && (isPart(a[i]) || isPart(b[i]) || !a[i].Equal(b[i])) {
			return false
		}
	}
	return true
}

// builtinCall is a call of a builtin.
type builtinCall struct {
	name     string
	function topdown.BuiltinFunc
	quick    quick // nil: there is none
	location *ast.Location
	args     []value
	spread   bool      // the last operand is an array, of which args has the elements
	hint     *ast.Term // a pattern that the builtin may look at
	timed    bool
}

// callBuiltin plans a call of a builtin.
func (s *scope) callBuiltin(name string, operands []*ast.Term, then plan) step {
	decl, function := ast.BuiltinMap[name], topdown.GetBuiltin(name)
	if decl == nil || function == nil {
		refuse("the builtin %s", name)
	}
	if decl.Nondeterministic {
		s.touch()
	}
	if name == ast.NotEqual.Name && len(operands) == 2 {
		return compare(s.value(operands[0]), s.value(operands[1]), false, then())
	}
	c := &builtinCall{name: name, function: function, quick: quickly(name), location: s.expr.Location, timed: !decl.CanSkipBctx}
	arity := decl.Decl.Arity()
	if decl.Decl.Result() == nil {
		c.operands(s, operands)
		next := then()
		return func(m *machine, f frame) signal {
			if _, ok := c.run(m, f); !ok {
				return m.nothing()
			}
			return next(m, f)
		}
	}
	c.operands(s, operands[:arity])
	var out *ast.Term
	if len(operands) > arity {
		out = operands[arity]
	}
	if decl.Relation {
		return s.relation(c, out, then)
	}
	return s.taken(func(m *machine, f frame) *ast.Term {
		t, _ := c.run(m, f)
		return t
	}, out, then)
}

// operands plans what the call is given. The array that is written out for concat need
// not be made.
func (c *builtinCall) operands(s *scope, terms []*ast.Term) {
	if c.name == ast.Concat.Name {
		if list, ok := terms[1].Value.(*ast.Array); ok {
			c.spread, c.quick = true, joined
			terms = []*ast.Term{terms[0]}
			list.Foreach(func(t *ast.Term) { terms = append(terms, t) })
		}
	}
	c.args = s.values(terms)
}

// run calls a builtin that has at most one result. It says whether it has one.
func (c *builtinCall) run(m *machine, f frame) (*ast.Term, bool) {
	if m.tick() {
		return nil, false
	}
	start, ok := m.all(c.args, f)
	if !ok {
		return nil, false
	}
	if c.quick != nil {
		if t := c.quick(m.args[start:]); t != nil {
			m.args = m.args[:start]
			return t, true
		}
	}
	m.output = nil
	operands := allSolid(m.args[start:len(m.args):len(m.args)])
	if c.spread {
		operands = []*ast.Term{operands[0], ast.ArrayTerm(slices.Clone(operands[1:])...)}
	}
	err := c.function(m.context(c), operands, m.take)
	t := m.output
	m.args, m.output = m.args[:start], nil
	if err != nil {
		m.fail(unhalted(err))
		return nil, false
	}
	return t, t != nil
}

func (m *machine) context(c *builtinCall) topdown.BuiltinContext {
	if c.timed {
		m.now()
	}
	m.builtin.Location = c.location
	return m.builtin
}

// unhalted is the error that a builtin means.
func unhalted(err error) error {
	var h topdown.Halt
	if errors.As(err, &h) {
		return h.Err
	}
	return err
}

// errStop ends a builtin that has more results than are asked for.
var errStop = errors.New("enough")

// relation plans a call of a builtin that may have many results.
func (s *scope) relation(c *builtinCall, out *ast.Term, then plan) step {
	slot := s.temp()
	if out != nil && wildcardPath(out) {
		c.hint = out
	}
	var next step
	if out == nil {
		next = s.truthOf(slot, then)
	} else {
		next = s.unifyValue(at(slot), out, then)
	}
	return func(m *machine, f frame) signal {
		start, ok := m.all(c.args, f)
		if !ok {
			return m.nothing()
		}
		if c.hint != nil {
			m.args = append(m.args, c.hint)
		}
		last := more
		operands := allSolid(m.args[start:len(m.args):len(m.args)])
		err := c.function(m.context(c), operands, func(t *ast.Term) error {
			if m.tick() {
				last = halt
				return topdown.Halt{Err: errStop}
			}
			f[slot] = t
			if last = next(m, f); last != more {
				return topdown.Halt{Err: errStop}
			}
			return nil
		})
		m.args = m.args[:start]
		if last != more || err == nil {
			return last
		}
		return m.fail(unhalted(err))
	}
}

func (s *scope) truthOf(slot int, then plan) step {
	next := then()
	return func(m *machine, f frame) signal {
		if isFalse(f[slot]) {
			return more
		}
		return next(m, f)
	}
}

// wildcardPath says whether only the second element of a pair is of interest, which
// spares walk to build the first.
func wildcardPath(t *ast.Term) bool {
	a, ok := t.Value.(*ast.Array)
	if !ok || a.Len() != 2 {
		return false
	}
	v, ok := a.Elem(0).Value.(ast.Var)
	return ok && v.IsWildcard()
}
