package rego

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// reachable are the rules that the given rules depend on, themselves included.
func reachable(c *ast.Compiler, from []*ast.Rule) map[*ast.Rule]bool {
	seen := map[*ast.Rule]bool{}
	todo := slices.Clone(from)
	for len(todo) > 0 {
		r := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[r] {
			continue
		}
		seen[r] = true
		for next := range c.Graph.Dependencies(r) {
			todo = append(todo, next.(*ast.Rule))
		}
	}
	return seen
}
