package rego

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// scope is what one rule does with parts of input: see [reads].
type scope struct {
	*reads
	rule   *ast.Rule
	params [][][]string
	bound  map[ast.Var][]ast.Ref  // what a variable is bound to
	uses   map[ast.Var][][]string // what is read below it
	passed map[ast.Var][]argument // where it goes
	bare   map[ast.Var]bool       // whether it stands anywhere else
	known  map[ast.Var][][]string // see parts
}

// argument is a place in the calls of a function.
type argument struct {
	function *ast.Rule
	param    int
}

// newScope looks at a rule, which is head or an else of it.
func newScope(x *reads, head, rule *ast.Rule) *scope {
	s := &scope{reads: x, rule: rule, params: x.params[head], bound: map[ast.Var][]ast.Ref{},
		uses: map[ast.Var][][]string{}, passed: map[ast.Var][]argument{}, bare: map[ast.Var]bool{},
		known: map[ast.Var][][]string{}}
	for _, t := range []*ast.Term{rule.Head.Key, rule.Head.Value} {
		if t != nil {
			s.walk(t)
		}
	}
	for _, t := range rule.Head.Ref()[1:] {
		s.walk(t)
	}
	s.walk(rule.Body)
	return s
}

// walk notes every occurrence of a variable or of input below x, once.
func (s *scope) walk(x any) { ast.NewGenericVisitor(s.visit).Walk(x) }

func (s *scope) visit(x any) (handled bool) {
	switch x := x.(type) {
	case *ast.Expr:
		return s.expr(x)
	case *ast.Every:
		return s.every(x)
	case ast.Ref:
		s.ref(x)
		return true
	case ast.Var:
		if x.Equal(ast.InputRootDocument.Value) {
			s.read([]string{})
		}
		s.bare[x] = true
	}
	return false
}

func (s *scope) ref(ref ast.Ref) {
	s.tail(ref)
	switch head := ref[0].Value.(type) {
	case ast.Var:
		if head.Equal(ast.InputRootDocument.Value) {
			s.read(steps(ref))
		} else {
			s.uses[head] = append(s.uses[head], steps(ref))
		}
	default:
		s.walk(ref[0]) // a call or a comprehension
	}
}

// tail looks at what stands in the brackets of a reference.
func (s *scope) tail(ref ast.Ref) {
	for _, t := range ref[1:] {
		s.walk(t)
	}
}

// expr handles bindings and calls of functions; what it does not handle is looked
// at piece by piece.
func (s *scope) expr(e *ast.Expr) (handled bool) {
	if len(e.With) > 0 {
		s.with(e)
		return true
	}
	if !e.IsCall() {
		return false
	}
	if e.IsEquality() && !e.Negated {
		return s.bind(e.Operand(0), e.Operand(1)) || s.bind(e.Operand(1), e.Operand(0))
	}
	operator := e.Operator()
	functions := s.compiler.GetRulesExact(operator)
	for i, t := range e.Operands() {
		switch {
		case len(functions) > 0 && i < len(functions[0].Head.Args) && s.pass(functions, i, t):
		case slices.Contains(keysOnly, operator.String()) && i == 0 && s.peek(t):
		default:
			s.walk(t)
		}
	}
	return true
}

// with handles an expression for which something is replaced. Where that is input,
// what is read of the replacement counts as read of the review, which does no harm.
func (s *scope) with(e *ast.Expr) {
	for _, w := range e.With {
		if ref, ok := w.Target.Value.(ast.Ref); !ok || !ref.HasPrefix(ast.InputRootRef) {
			s.mocked = true
		}
		s.walk(w.Value)
	}
	bare := *e
	bare.With = nil
	if _, isEvery := e.Terms.(*ast.Every); isEvery || !e.IsCall() {
		s.walk(&bare)
		return
	}
	for _, t := range e.Operands() {
		s.walk(t)
	}
}

// bind handles an equality of a variable with a part of something.
func (s *scope) bind(variable, to *ast.Term) bool {
	v, ok1 := variable.Value.(ast.Var)
	ref, ok2 := to.Value.(ast.Ref)
	if !ok1 || !ok2 || !isPart(ref) {
		return false
	}
	s.bound[v] = append(s.bound[v], ref)
	s.tail(ref)
	return true
}

// isPart says whether a reference is to input or to a variable.
func isPart(ref ast.Ref) bool {
	v, ok := ref[0].Value.(ast.Var)
	return ok && !v.Equal(ast.DefaultRootDocument.Value)
}

// pass handles an argument that is a variable or a part.
func (s *scope) pass(functions []*ast.Rule, param int, t *ast.Term) bool {
	for _, f := range functions {
		switch v := t.Value.(type) {
		case ast.Var:
			s.passed[v] = append(s.passed[v], argument{f, param})
		case ast.Ref:
			if !isPart(v) {
				return false
			}
			// As if it had been bound to a variable that is passed on.
			hidden := ast.Var(v.String())
			s.bound[hidden] = []ast.Ref{v}
			s.passed[hidden] = append(s.passed[hidden], argument{f, param})
		default:
			return false
		}
	}
	if ref, ok := t.Value.(ast.Ref); ok {
		s.tail(ref)
	}
	return true
}

// peek handles the argument of a builtin that looks at keys only.
func (s *scope) peek(t *ast.Term) bool {
	below := ast.Ref{nil, ast.VarTerm(anyKey), ast.StringTerm(nothing)}
	switch v := t.Value.(type) {
	case ast.Var:
		s.uses[v] = append(s.uses[v], steps(below))
		return true
	case ast.Ref:
		if isPart(v) {
			s.tail(v)
			s.ref(slices.Concat(v, below[1:]))
			return true
		}
	}
	return false
}

func (s *scope) every(e *ast.Every) (handled bool) {
	v, ok1 := e.Value.Value.(ast.Var)
	ref, ok2 := e.Domain.Value.(ast.Ref)
	if _, isVar := e.Domain.Value.(ast.Var); isVar {
		ref, ok2 = ast.Ref{e.Domain}, true
	}
	if !ok1 || !ok2 || !isPart(ref) {
		return false
	}
	s.bound[v] = append(s.bound[v], ref.Append(ast.VarTerm(anyKey)))
	s.tail(ref)
	if e.Key != nil {
		s.walk(e.Key)
	}
	s.walk(e.Body)
	return true
}

// resolve notes what is read, now that all occurrences are known.
func (s *scope) resolve() {
	for i, arg := range s.rule.Head.Args {
		if _, ok := arg.Value.(ast.Var); !ok && i < len(s.params) { // a pattern
			s.readAll(s.params[i])
		}
	}
	for v := range s.bare {
		s.readAll(s.parts(v))
	}
	for v, refs := range s.bound {
		parts := s.parts(v)
		if len(refs) > 1 || s.isParam(v) { // a comparison
			s.readAll(parts)
		}
		for _, p := range parts {
			s.read(append(slices.Clone(p), nothing))
		}
	}
	for v, below := range s.uses {
		for _, p := range s.parts(v) {
			for _, b := range below {
				s.read(slices.Concat(p, b))
			}
		}
	}
	for v, arguments := range s.passed {
		for _, a := range arguments {
			s.reads.pass(a.function, a.param, s.parts(v))
		}
	}
}

func (s *scope) readAll(parts [][]string) {
	for _, p := range parts {
		s.read(p)
	}
}

func (s *scope) isParam(v ast.Var) bool {
	return slices.ContainsFunc(s.rule.Head.Args, func(t *ast.Term) bool { return t.Value.Compare(v) == 0 })
}

// maxParts bounds what a variable may stand for before it counts as everything.
const maxParts = 64

var everything = [][]string{{}}

// parts are the paths of input that a variable may stand for. Variables can be
// bound to parts of each other, which is not followed.
func (s *scope) parts(v ast.Var) [][]string {
	if known, ok := s.known[v]; ok {
		return known
	}
	s.known[v] = everything
	var parts [][]string
	for i, arg := range s.rule.Head.Args {
		if arg.Value.Compare(v) == 0 && i < len(s.params) {
			parts = append(parts, s.params[i]...)
		}
	}
	for _, ref := range s.bound[v] {
		head := ref[0].Value.(ast.Var)
		if head.Equal(ast.InputRootDocument.Value) {
			parts = append(parts, steps(ref))
			continue
		}
		for _, p := range s.parts(head) {
			parts = append(parts, slices.Concat(p, steps(ref)))
		}
	}
	if len(parts) > maxParts {
		parts = everything
	}
	s.known[v] = parts
	return parts
}
