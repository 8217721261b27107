package plan

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// selection is OPA's index of the rules of one name, which selects those that could
// have a value.
type selection struct {
	index ast.RuleIndex
	all   *ast.IndexResult
	// What the index asks about while it learns nothing, and what it selects then: most
	// rules are told by parts of the input, of which it learns that there are such.
	asks    []ast.Ref
	unknown *ast.IndexResult // nil: it asks about something else than the input
}

// newSelection asks the index what it would ask.
func newSelection(name ast.Ref, index ast.RuleIndex) *selection {
	all, err := index.AllRules(nil)
	if err != nil {
		refuse("%v: %v", name, err)
	}
	s := &selection{index: index, all: all}
	q := &questions{}
	unknown, err := index.Lookup(q)
	if err == nil && !q.others {
		s.asks, s.unknown = q.asks, unknown
	}
	return s
}

// questions notes the questions of an index, and answers none.
type questions struct {
	asks   []ast.Ref
	others bool // there were such about something else than the input
}

// Resolve implements [ast.ValueResolver].
func (q *questions) Resolve(ref ast.Ref) (ast.Value, error) {
	q.asks = append(q.asks, ref)
	q.others = q.others || !ref[0].Equal(ast.InputRootDocument)
	return nil, ast.UnknownValueErr{}
}

// candidates are the rules that could have a value. They are to be put back.
func (s *selection) candidates(r *resolver) (*ast.IndexResult, error) {
	if s.unknown != nil && r.knowsNoneOf(s.asks) {
		return s.unknown, nil
	}
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
}

// Resolve implements [ast.ValueResolver].
func (r *resolver) Resolve(ref ast.Ref) (ast.Value, error) {
	switch {
	case ref[0].Equal(ast.FunctionArgRootDocument):
		if n, ok := ref[1].Value.(ast.Number); ok {
			if i, ok := n.Int(); ok && i >= 0 && i < len(r.operands) {
				return known(r.operands[i])
			}
		}
		return nil, ast.UnknownValueErr{}
	case ref[0].Equal(ast.InputRootDocument):
		t := r.input(ref)
		if t == nil {
			return nil, nil // undefined
		}
		return known(t)
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

// known is what an index is told of a term. It asks about an object or a list hardly ever
// for more than whether there is one, and not knowing leaves no rule out: all of a part is
// not made for that.
func known(t *ast.Term) (ast.Value, error) {
	if isPart(t) {
		return nil, ast.UnknownValueErr{}
	}
	return t.Value, nil
}
