package plan

import "github.com/open-policy-agent/opa/v1/ast"

// All returns the values of all variables.
func (r Result) All() map[ast.Var]*ast.Term {
	all := make(map[ast.Var]*ast.Term, len(r.vars))
	for i, v := range r.vars {
		all[v] = r.values[i]
	}
	return all
}
