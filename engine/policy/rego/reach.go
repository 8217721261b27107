package rego

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine"
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

// readPaths are the paths of input that rules read: of each reference the part
// that is known at load. A path holds everything below it; the empty path is the
// whole document.
func readPaths(rules map[*ast.Rule]bool) [][]string {
	var paths [][]string
	var visitor *ast.GenericVisitor
	visitor = ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case ast.Ref:
			if !x.HasPrefix(ast.InputRootRef) {
				return false
			}
			paths = append(paths, constant(x[1:]))
			for _, term := range x[1:] {
				visitor.Walk(term)
			}
			return true
		case ast.Var:
			if x.Equal(ast.InputRootDocument.Value) { // input as a whole
				paths = append(paths, []string{})
			}
		}
		return false
	})
	for r := range rules {
		visitor.Walk(r)
	}
	return shortest(paths)
}

func constant(ref ast.Ref) []string {
	path := []string{}
	for _, term := range ref {
		s, ok := term.Value.(ast.String)
		if !ok {
			break
		}
		path = append(path, string(s))
	}
	return path
}

// shortest sorts paths and drops those that lie below another.
func shortest(paths [][]string) [][]string {
	slices.SortFunc(paths, slices.Compare)
	var kept [][]string
	for _, p := range paths {
		last := len(kept) - 1
		if last >= 0 && len(kept[last]) <= len(p) && slices.Equal(kept[last], p[:len(kept[last])]) {
			continue
		}
		kept = append(kept, p)
	}
	return kept
}

// fieldSet is a set of change fields, by their place in [engine.Fields].
type fieldSet uint64

func (s fieldSet) fields() []engine.Field {
	var fields []engine.Field
	for i, spec := range engine.Fields() {
		if s&(1<<i) != 0 {
			fields = append(fields, spec.Field)
		}
	}
	return fields
}

// fieldBit returns the set that holds the one field; the empty set where there is
// no such field.
func fieldBit(f engine.Field) fieldSet {
	for i, spec := range engine.Fields() {
		if spec.Field == f {
			return 1 << i
		}
	}
	return 0
}
