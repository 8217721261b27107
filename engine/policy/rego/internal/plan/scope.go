package plan

import (
	"fmt"
	"maps"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Places of a frame that every rule has.
const (
	slotResult   = iota // what the rules found before
	slotOne             // not nil: one solution is enough
	slotProduced        // what this rule found
	slots
)

// unsupported is raised for what has no plan.
type unsupported struct{ what string }

func (u unsupported) Error() string { return u.what + " has no plan" }

func refuse(format string, args ...any) { panic(unsupported{fmt.Sprintf(format, args...)}) }

// scope is where a part of a body is planned: which variables there are, and which
// of them have a value by then.
type scope struct {
	*world
	fn    *function
	bound map[ast.Var]bool
	expr  *ast.Expr // that is being planned
	rules *ruleset  // of which it is; nil in a query
}

// function is what the bodies of one rule share.
type function struct {
	size int
	vars map[ast.Var]int
}

func newScope(w *world) *scope {
	return &scope{world: w, fn: &function{size: slots, vars: map[ast.Var]int{}}, bound: map[ast.Var]bool{}}
}

// closure is a scope whose variables are not seen outside.
func (s *scope) closure() *scope {
	return &scope{world: s.world, fn: s.fn, bound: maps.Clone(s.bound), expr: s.expr, rules: s.rules}
}

// inner is a function that is evaluated within another one, in a frame of its own.
func (*function) inner() *function { return &function{size: slots, vars: map[ast.Var]int{}} }

// touch notes that what is planned depends on more than data.
func (s *scope) touch() {
	if s.rules != nil {
		s.rules.impure = true
	}
}

func (s *scope) temp() int {
	s.fn.size++
	return s.fn.size - 1
}

func (s *scope) slot(v ast.Var) int {
	i, ok := s.fn.vars[v]
	if !ok {
		i = s.temp()
		s.fn.vars[v] = i
	}
	return i
}

// bind gives an unbound variable its place.
func (s *scope) bind(v ast.Var) int {
	s.bound[v] = true
	return s.slot(v)
}

func at(slot int) value { return func(_ *machine, f frame) *ast.Term { return f[slot] } }

func constant(t *ast.Term) value { return func(*machine, frame) *ast.Term { return t } }

// ordered puts the elements of all sets and objects of a term in order. These do so by
// themselves when they are first looked at in order, which must not be while another
// evaluation looks: not everything that looks waits for it.
func ordered(t *ast.Term) *ast.Term {
	switch v := t.Value.(type) {
	case *ast.Array:
		v.Foreach(func(e *ast.Term) { ordered(e) })
	case ast.Set:
		v.Foreach(func(e *ast.Term) { ordered(e) })
	case ast.Object:
		v.Foreach(func(k, e *ast.Term) { ordered(k); ordered(e) })
	}
	return t
}

// unbound returns the variable that the term is, if it has no value yet.
func (s *scope) unbound(t *ast.Term) (ast.Var, bool) {
	v, ok := t.Value.(ast.Var)
	return v, ok && !s.bound[v] && !isRoot(v)
}

func isRoot(v ast.Var) bool { return v == "input" || v == "data" }

// known says whether all variables of a term have values by now.
func (s *scope) known(t *ast.Term) bool {
	switch v := t.Value.(type) {
	case ast.Var:
		return s.bound[v] || isRoot(v)
	case ast.Ref:
		for _, part := range v {
			if !s.known(part) {
				return false
			}
		}
	case *ast.Array:
		return !v.Until(func(e *ast.Term) bool { return !s.known(e) })
	case ast.Object:
		return !v.Until(func(k, e *ast.Term) bool { return !s.known(k) || !s.known(e) })
	case ast.Set:
		return !v.Until(func(e *ast.Term) bool { return !s.known(e) })
	case ast.Call:
		refuse("a nested call")
	}
	return true
}
