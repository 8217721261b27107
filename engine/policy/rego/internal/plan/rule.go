package plan

import (
	"slices"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// ruleset is the rules of one name.
type ruleset struct {
	*world
	id       int
	callID   int // of a function
	ref      ast.Ref
	index    *selection
	function bool // has arguments
	partial  bool // is a set, or has variables in its name
	set      bool // is a set
	uneven   bool // its rules' names have different numbers of parts
	impure   bool // depends on more than data
	plain    *variant
	constant atomic.Pointer[ast.Term] // the value, where it depends on data alone
	variants map[string]*variant
}

// variant is how the rules are evaluated when some of their parts have values given.
type variant struct {
	rules map[*ast.Rule]*rule
	// usual are the plans of what the index selects while it learns nothing, in order.
	usual []*rule
}

// rule is the plan of one.
type rule struct {
	source *ast.Rule
	size   int
	run    step
}

// ruleset plans the rules at a place.
func (s *scope) ruleset(p place) *ruleset {
	r := s.rulesetOf(ast.Ref(p.path), p.node)
	if r.impure {
		s.touch()
	}
	return r
}

func (w *world) rulesetOf(ref ast.Ref, node *ast.TreeNode) *ruleset {
	name := ref.String()
	if r, ok := w.rulesets[name]; ok {
		return r
	}
	r := &ruleset{world: w, id: w.nextRule(), ref: ref, impure: w.replaced, variants: map[string]*variant{}}
	w.rulesets[name] = r
	r.index = newSelection(ref, node.Index)
	all := r.index.rules
	rules := slices.Clone(all.Rules)
	if all.Default != nil {
		rules = append(rules, all.Default)
	}
	if r.function = len(rules[0].Head.Args) > 0; r.function {
		r.callID = w.nextFunction()
	}
	r.set = all.Kind == ast.MultiValue && all.OnlyGroundRefs
	r.partial = all.Kind == ast.MultiValue || !all.OnlyGroundRefs
	r.uneven = slices.ContainsFunc(rules, func(x *ast.Rule) bool { return len(x.Ref()) != len(rules[0].Ref()) })
	if !r.function {
		r.plain = r.variant(all, nil)
	}
	return r
}

// variant plans the rules with parameters. They are given by their places behind
// the name: arguments and the result, or keys.
func (r *ruleset) variant(all *ast.IndexResult, given []int) *variant {
	v := &variant{rules: map[*ast.Rule]*rule{}}
	for _, source := range all.Rules {
		v.rules[source] = r.rule(source, given)
		for _, other := range all.Else[source] {
			v.rules[other] = r.rule(other, given)
		}
	}
	if all.Default != nil {
		v.rules[all.Default] = r.rule(all.Default, given)
	}
	if usual := r.index.unknown; usual != nil {
		for _, source := range usual.Rules {
			v.usual = append(v.usual, v.rules[source])
		}
	}
	return v
}

// with returns the variant with the given parameters.
func (r *ruleset) with(given []int) *variant {
	var key []byte
	for _, g := range given {
		key = append(key, byte(g), byte(g>>8))
	}
	v, ok := r.variants[string(key)]
	if !ok {
		v = r.variant(r.index.rules, given)
		r.variants[string(key)] = v
	}
	return v
}

// rule plans one rule.
func (r *ruleset) rule(source *ast.Rule, given []int) *rule {
	s := newScope(r.world)
	s.rules = r
	params := make([]int, len(given))
	for i := range params {
		params[i] = s.temp()
	}
	var from func(i int) step
	from = func(i int) step {
		if i == len(given) {
			return s.body(source.Body, func() step { return s.result(source) })
		}
		pattern := r.pattern(source, given[i])
		if pattern == nil { // the rule has no such part
			return from(i + 1)
		}
		return s.unifyValue(at(params[i]), pattern, func() step { return from(i + 1) })
	}
	run := from(0)
	return &rule{source: source, size: s.fn.size, run: run}
}

// pattern returns the part of a rule's head that a parameter stands for.
func (r *ruleset) pattern(source *ast.Rule, i int) *ast.Term {
	head := source.Head
	if r.function {
		if i < len(head.Args) {
			return head.Args[i]
		}
		return head.Value
	}
	ref := source.Ref()
	switch i += len(r.ref); {
	case i < len(ref):
		return ref[i]
	case i == len(ref) && head.RuleKind() == ast.MultiValue:
		return head.Key
	}
	return nil
}

// result plans what a rule does for each solution of its body.
func (s *scope) result(source *ast.Rule) step {
	switch {
	case s.rules.set:
		return s.element(source)
	case s.rules.partial:
		return s.entry(source)
	}
	head := s.value(source.Head.Value)
	return func(m *machine, f frame) signal {
		t := head(m, f)
		if t == nil {
			return m.nothing()
		}
		f[slotProduced] = t
		if f[slotOne] == listing {
			return m.listing.add(source, t)
		}
		if f[slotResult] != nil {
			if !equal(f[slotResult], t) {
				return m.fail(conflict(source))
			}
			return more
		}
		f[slotResult] = t
		if f[slotOne] != nil {
			return done
		}
		return more
	}
}

// element adds to a set.
func (s *scope) element(source *ast.Rule) step {
	key := s.value(source.Head.Key)
	return func(m *machine, f frame) signal {
		t := key(m, f)
		if t == nil {
			return m.nothing()
		}
		if f[slotResult] == nil {
			f[slotResult] = ast.SetTerm()
		}
		f[slotResult].Value.(ast.Set).Add(solid(t))
		return more
	}
}

// rule plans the value of rules without parameters.
func (s *scope) rule(r *ruleset) value {
	if r.function {
		return constantOrNothing(nil)
	}
	return func(m *machine, _ frame) *ast.Term { return r.value(m) }
}

// value evaluates rules without parameters, once.
func (r *ruleset) value(m *machine) *ast.Term {
	if t := m.memory.rules[r.id]; t != nil {
		if t == undefinedTerm {
			return nil
		}
		return t
	}
	if t := r.constant.Load(); t != nil {
		m.memory.rules[r.id] = t
		return r.value(m)
	}
	outer := m.memory
	if !r.impure {
		// Every decision finds the same: the first one finds it for all, and must not take
		// it from what it remembers of calls, whose results may be of its own input.
		m.memory = m.program.newMemory()
	}
	t := r.evaluate(m, r.plain, nil, nil)
	m.memory = outer
	if m.err != nil {
		return nil
	}
	kept := t
	if t == nil {
		kept = undefinedTerm
	}
	m.memory.rules[r.id] = kept
	if !r.impure {
		r.constant.Store(ordered(kept))
	}
	return t
}

// evaluate evaluates the rules that the index admits.
func (r *ruleset) evaluate(m *machine, v *variant, params, operands []*ast.Term) *ast.Term {
	if m.tick() {
		return nil
	}
	m.resolver = resolver{m: m, world: r.world, operands: operands}
	candidates, err := r.index.candidates(&m.resolver)
	if err != nil {
		m.fail(err)
		return nil
	}
	defer r.index.put(candidates)
	if r.partial {
		return r.collect(m, v, candidates, params)
	}
	run := &single{ruleset: r, m: m, variant: v, params: params}
	if candidates.EarlyExit {
		run.one = ast.InternedBooleanTrue
	}
	run.all(candidates)
	if m.err != nil {
		r.list(run, candidates)
		return nil
	}
	return run.result
}

// single is the evaluation of rules that have one value.
type single struct {
	*ruleset
	m       *machine
	variant *variant
	params  []*ast.Term
	one     *ast.Term
	result  *ast.Term
}

func (r *single) all(candidates *ast.IndexResult) {
	for _, source := range candidates.Rules {
		produced, sig := r.try(source)
		if sig == halt {
			return
		}
		if !produced {
			for _, other := range candidates.Else[source] {
				if produced, sig = r.try(other); sig == halt {
					return
				}
				if produced {
					break
				}
			}
		}
		if produced && r.one == ast.InternedBooleanTrue {
			return
		}
	}
	if candidates.Default != nil && r.result == nil {
		r.try(candidates.Default)
	}
}

// try evaluates one rule and says whether it has a value.
func (r *single) try(source *ast.Rule) (produced bool, sig signal) {
	plan := r.variant.rules[source]
	f, before := r.m.enter(plan.size)
	defer r.m.leave(before)
	f[slotResult], f[slotOne] = r.result, r.one
	copy(f[slots:], r.params)
	sig = plan.run(r.m, f)
	r.result = f[slotResult]
	return f[slotProduced] != nil, sig
}

// collect evaluates rules whose values make one set or object.
func (r *ruleset) collect(m *machine, v *variant, candidates *ast.IndexResult, params []*ast.Term) *ast.Term {
	var result *ast.Term // of a set none until there is an element
	if !r.set {
		result = ast.ObjectTerm()
		m.objects = append(m.objects, &object{ruleset: r})
		defer func() { m.objects = m.objects[:len(m.objects)-1] }()
	}
	for i, source := range candidates.Rules {
		var plan *rule
		if candidates == r.index.unknown {
			plan = v.usual[i]
		} else {
			plan = v.rules[source]
		}
		f, before := m.enter(plan.size)
		f[slotResult] = result
		copy(f[slots:], params)
		sig := plan.run(m, f)
		m.leave(before)
		if sig == halt {
			return nil
		}
		result = f[slotResult]
	}
	if result == nil {
		return ast.InternedEmptySet
	}
	return result
}

func conflict(source *ast.Rule) error {
	message := "rule " + source.Ref().String() + " produced conflicting values"
	if len(source.Head.Args) > 0 {
		message = "function " + source.Ref().String() + " produced conflicting values for the same inputs"
	}
	return &topdown.Error{Code: topdown.ConflictErr, Location: source.Location, Message: message}
}
