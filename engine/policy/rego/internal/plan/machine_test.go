package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// TestEnd: a machine that is kept holds nothing of what it was used for, nor room for much.
func TestEnd(t *testing.T) {
	for name, rules := range map[string]string{
		"elements":  "p := [x | some x in input]",
		"a set":     "p contains x if some x in input",
		"an object": "p[x] := input if some x in input",
		"objects":   "p[x] := q[x] if some x in [1, 2]\n\nq[x] := input if some x in [1, 2]",
		"calls":     "p := [f(x) | some x in input]\n\nf(x) := x",
		"groups":    "p := [ys | some x in input; ys := [y | some y in input; y == x]]",
		"with":      "p := x if x := q with input as input\n\nq := x if x := r with input.x as input\n\nr := count(input)",
		"data":      "p := x if x := q with data.t.r as input\n\nq := r\n\nr := 1",
		"mocks":     "p := x if x := q with count as input\n\nq := count(input)",
		"frames":    "p := f0(input)\n\n" + nested(40),
		"text":      "p := [y | some x in input; y := concat(\"\", [\"a\", \"b\"]); count(x) > 0; startswith(y, \"a\")]",
		"arguments": "p := array.concat(input, [input, [input]])",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := ast.CompileModulesWithOpt(map[string]string{"t.rego": "package t\n\n" + rules}, ast.CompileOpts{})
			if err != nil {
				t.Fatal(err)
			}
			p := New(c, ast.NewObject())
			q, err := p.Query(ast.MustParseBody("result = data.t.p"))
			if err != nil {
				t.Fatal(err)
			}
			var elements []*ast.Term
			for i := range 2000 {
				elements = append(elements, ast.ArrayTerm(ast.IntNumberTerm(i)))
			}
			input := ast.ArrayTerm(elements...)
			e := p.Begin(t.Context(), input)
			answers := 0
			err = q.Run(e, nil, func(Result) error {
				answers++
				return nil
			})
			if err != nil || answers != 1 {
				t.Fatal(answers, err)
			}
			m := e.machine
			if len(m.stack)+len(m.args)+len(m.found)+len(m.objects)+len(m.outside) > 0 {
				t.Errorf("left: %+v", m)
			}
			e.End()
			for what, list := range map[string][]*ast.Term{"stack": m.stack, "args": m.args, "found": m.found, "results": m.results, "rules": m.memory.rules} {
				wantEmpty(t, what, list)
			}
			for _, known := range m.memory.calls {
				wantEmpty(t, "arguments of calls", known.args)
				wantEmpty(t, "results of calls", known.results)
				if known.byHash != nil {
					t.Error("calls are kept")
				}
			}
			wantEmpty(t, "objects", m.objects)
			for _, left := range m.outside[:cap(m.outside)] {
				if left.input != nil || left.overrides != nil || left.mocks != nil || left.memory != nil {
					t.Error("an environment is kept")
				}
			}
			if m.input != nil || m.overrides != nil || m.mocks != nil || m.memory.groups != nil || m.output != nil || m.limit != nil || m.yield != nil ||
				m.builtin.Time != nil || m.builtin.Cache != nil || m.resolver.operands != nil {
				t.Errorf("kept: %+v", m)
			}
		})
	}
}

// nested makes functions that call each other.
func nested(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "f%d(x) := f%d(y) if {\n\ty := x\n\tcount(y) > 0\n}\n\n", i, i+1)
	}
	fmt.Fprintf(&b, "f%d(x) := count(x)\n", n)
	return b.String()
}

func wantEmpty[T any](t *testing.T, what string, list []*T) {
	t.Helper()
	if cap(list) > 1024 {
		t.Errorf("%s: room for %d", what, cap(list))
	}
	for _, x := range list[:cap(list)] {
		if x != nil {
			t.Errorf("%s: %v is kept", what, x)
			return
		}
	}
}
