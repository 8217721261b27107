package plan

import (
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// selection is OPA's index of the rules of one name, which selects those that could
// have a value.
type selection struct {
	index ast.RuleIndex
	rules *ast.IndexResult // all of them
	// What the index asks about while it learns nothing, and what it selects then: most
	// rules are told by parts of the input, of which it learns that there are such.
	asks    []ast.Ref
	unknown *ast.IndexResult // nil: it asks about something else than the input
	shown
}

// shown is what has to be shown to an index as it is, even an object or a list: it tells
// rules by that.
type shown struct {
	all  bool
	refs []ast.Ref
}

func (s *shown) has(ref ast.Ref) bool { return s.all || contains(s.refs, ref) }

// maxExamined bounds how many questions of an index are examined: each takes some lookups
// among all rules. One that asks more is shown everything.
const maxExamined = 64

// newSelection asks the index what it would ask.
func newSelection(name ast.Ref, index ast.RuleIndex) *selection {
	all, err := index.AllRules(nil)
	if err != nil {
		refuse("%v: %v", name, err)
	}
	s := &selection{index: index, rules: all}
	q := &questions{}
	unknown, err := index.Lookup(q)
	if err != nil {
		return s
	}
	if len(q.asks) > maxExamined {
		s.shown.all = true
		return s
	}
	for _, ref := range q.asks {
		if s.learns(ref) {
			s.refs = append(s.refs, ref)
		}
	}
	if !q.others && len(s.refs) == 0 {
		s.asks, s.unknown = q.asks, unknown
	}
	return s
}

// learns says whether the index tells rules by what it is shown of an object or a list,
// other than that there is one. What is empty is like none that a rule asks for, but to
// those that ask for any. It may matter what there is elsewhere.
func (s *selection) learns(ref ast.Ref) bool {
	for _, elsewhere := range []answer{{unknown: true}, {}, {value: ast.InternedEmptyObjectValue}} {
		a, err1 := s.index.Lookup(&answers{ref, answer{unknown: true}, elsewhere})
		b, err2 := s.index.Lookup(&answers{ref, answer{value: ast.InternedEmptyObjectValue}, elsewhere})
		if err1 != nil || err2 != nil || !sameRules(a, b) {
			return true
		}
	}
	return false
}

func sameRules(a, b *ast.IndexResult) bool {
	return slices.Equal(a.Rules, b.Rules) && maps.EqualFunc(a.Else, b.Else, slices.Equal[[]*ast.Rule])
}

// answers are given to an index to see what it makes of them.
type answers struct {
	ref             ast.Ref
	here, elsewhere answer
}

type answer struct {
	unknown bool
	value   ast.Value // nil is undefined
}

// Resolve implements [ast.ValueResolver].
func (a *answers) Resolve(ref ast.Ref) (ast.Value, error) {
	given := a.elsewhere
	if ref.Equal(a.ref) {
		given = a.here
	}
	if given.unknown {
		return nil, ast.UnknownValueErr{}
	}
	return given.value, nil
}

// questions notes the questions of an index, each once, and answers none.
type questions struct {
	asks   []ast.Ref // no more than one too many
	others bool      // there were such about something else than the input
}

// Resolve implements [ast.ValueResolver].
func (q *questions) Resolve(ref ast.Ref) (ast.Value, error) {
	if len(q.asks) <= maxExamined && !contains(q.asks, ref) {
		q.asks = append(q.asks, ref)
	}
	q.others = q.others || !ref[0].Equal(ast.InputRootDocument)
	return nil, ast.UnknownValueErr{}
}

func contains(refs []ast.Ref, ref ast.Ref) bool {
	return slices.ContainsFunc(refs, func(other ast.Ref) bool { return other.Equal(ref) })
}

// candidates are the rules that could have a value. They are to be put back.
func (s *selection) candidates(r *resolver) (*ast.IndexResult, error) {
	if s.unknown != nil && r.knowsNoneOf(s.asks) {
		return s.unknown, nil
	}
	r.shown = &s.shown
	return s.index.Lookup(r)
}

func (s *selection) put(candidates *ast.IndexResult) {
	if candidates != s.unknown {
		ast.IndexResultPool.Put(candidates)
	}
}

// resolver answers the questions of an index of rules.
type resolver struct {
	m        *machine
	world    *world
	operands []*ast.Term
	shown    *shown
}

// Resolve implements [ast.ValueResolver].
func (r *resolver) Resolve(ref ast.Ref) (ast.Value, error) {
	switch {
	case ref[0].Equal(ast.FunctionArgRootDocument):
		if n, ok := ref[1].Value.(ast.Number); ok {
			if i, ok := n.Int(); ok && i >= 0 && i < len(r.operands) {
				return r.known(ref, r.operands[i])
			}
		}
		return nil, ast.UnknownValueErr{}
	case ref[0].Equal(ast.InputRootDocument):
		t := r.input(ref)
		if t == nil {
			return nil, nil // undefined
		}
		return r.known(ref, t)
	}
	return r.m.resolve(r.world, ref), nil
}

// input looks up what is at a reference into the input.
func (r *resolver) input(ref ast.Ref) *ast.Term {
	t := r.m.input
	for i := 1; i < len(ref) && t != nil; i++ {
		t = get(t, ref[i])
	}
	return t
}

// knowsNoneOf says whether Resolve has no value to give for any of these.
func (r *resolver) knowsNoneOf(refs []ast.Ref) bool {
	for _, ref := range refs {
		if t := r.input(ref); t == nil || !isPart(t) {
			return false
		}
	}
	return true
}

// known is what an index is told of a term. All of a part is not made where the index asks
// for no more than whether there is one: not knowing leaves no rule out then either.
func (r *resolver) known(ref ast.Ref, t *ast.Term) (ast.Value, error) {
	if isPart(t) && !r.shown.has(ref) {
		return nil, ast.UnknownValueErr{}
	}
	return solid(t).Value, nil
}
