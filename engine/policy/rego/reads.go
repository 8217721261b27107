package rego

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// What the encoder understands of a path: any key or index, and, because no key is
// called that, that something is there but none of what is in it.
const (
	anyKey  = "*"
	nothing = "\x00"
)

// keysOnly are builtins that look at nothing but the keys of their argument.
var keysOnly = []string{"count", "object.keys"}

// reads derives which paths of input rules read, so that only these are encoded. A
// path holds everything below it.
//
// It follows parts of input through variables that are bound to them once and
// through parameters of functions; wherever a part goes otherwise (into another
// value, a builtin, a comparison, a rule's result), all of it counts as read.
type reads struct {
	compiler *ast.Compiler
	paths    map[string][]string
	params   map[*ast.Rule][][][]string // for each parameter of a function what it may be
	grown    bool                       // a parameter may be more than was known
	mocked   bool                       // a rule replaces what is not input
}

// readPaths returns the paths that the rules read; nil is everything.
func readPaths(c *ast.Compiler, rules map[*ast.Rule]bool) [][]string {
	x := &reads{compiler: c, paths: map[string][]string{}, params: map[*ast.Rule][][][]string{}, grown: true}
	for x.grown {
		x.grown = false
		for r := range rules {
			for part := r; part != nil; part = part.Else {
				newScope(x, r, part).resolve()
			}
		}
	}
	if x.mocked {
		return nil
	}
	list := make([][]string, 0, len(x.paths))
	for _, p := range x.paths {
		list = append(list, p)
	}
	return shortest(list)
}

func (x *reads) read(path []string) { x.paths[strings.Join(path, "\n")] = path }

// pass notes that a parameter may be any of the parts.
func (x *reads) pass(f *ast.Rule, param int, parts [][]string) {
	known := x.params[f]
	for len(known) <= param {
		known = append(known, nil)
	}
	for _, p := range parts {
		if !slices.ContainsFunc(known[param], func(k []string) bool { return slices.Equal(k, p) }) {
			known[param] = append(known[param], p)
			x.grown = true
		}
	}
	x.params[f] = known
}

// steps are the elements of a reference behind its head.
func steps(ref ast.Ref) []string {
	path := make([]string, 0, len(ref))
	for _, term := range ref[1:] {
		step := anyKey
		if s, ok := term.Value.(ast.String); ok {
			step = string(s)
		}
		path = append(path, step)
	}
	return path
}

// shortest sorts paths and drops those that lie below another.
func shortest(paths [][]string) [][]string {
	slices.SortFunc(paths, slices.Compare)
	kept := [][]string{} // nil would be everything
	for _, p := range paths {
		last := len(kept) - 1
		if last >= 0 && len(kept[last]) <= len(p) && slices.Equal(kept[last], p[:len(kept[last])]) {
			continue
		}
		kept = append(kept, p)
	}
	return kept
}
