package plan_test

import (
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine/policy/rego/internal/plan"
)

// TestNothingOfAnInputIsKept: what depends on the input, by whatever way, is found anew
// for each; what one evaluation has found is no other's.
func TestNothingOfAnInputIsKept(t *testing.T) {
	for name, module := range map[string]string{
		"a function":                    "f(x) := input.v if x\np := f(true)",
		"a function behind a function":  "g(x) := input.v if x\nf(x) := g(x)\np := f(true)",
		"with a result that is known":   "f(x) := input.v if x\nq if f(true) == 1\np := {1 | q}",
		"a function in a comprehension": "f(x) := input.v + x\np := [y | some x in [1, 2]; y := f(x)]",
		"a function that is negated":    "f(x) if input.v == x\np := {x | some x in [1, 2]; not f(x)}",
		"a key of rules":                "o[k] := v if { some k in [\"a\"]; v := input.v }\np := o.a",
		"a pattern of rules":            "s contains [1, input.v]\np := {y | s[[1, y]]}",
		"a rule through a variable":     "r.a := input.v\nr.b := 7\np := {x | some k in [\"a\", \"b\"]; x := data.t.r[k]}",
		"all rules of a package":        "r.a := input.v\np := object.get(data.t.r, \"a\", null)",
		"a default":                     "default f(_) := 0\nf(x) := input.v if x\np := f(true)",
		"else":                          "f(x) := 0 if { false } else := input.v\np := f(true)",
		"a comprehension of groups":     "p := [ys | some k in [\"a\", \"b\"]; ys := [y | some j in [\"a\", \"b\"]; j == k; y := input.v]]",
		"every":                         "p := {1 | every x in [1] { x == input.v }}",
		"with":                          "a := input.v\nq := x if { x := a with input.w as 1 }\np := q",
		"a function replaced":           "f(x) := x\ng(x) := input.v if x\np := y if { y := f(true) with f as g }",
	} {
		t.Run(name, func(t *testing.T) {
			m := planned(t, module, "result = data.t.p")
			seen := map[string]bool{}
			for _, input := range []string{`{"v": 1}`, `{"v": 2}`, `{"v": 1}`, `{}`} {
				in := ast.MustParseTerm(input)
				want, wantErr := m.byTopdown(in)
				got, gotErr := m.run(parted(in))
				if wantErr != nil || gotErr != nil {
					t.Fatalf("%s: error %v, want %v", input, gotErr, wantErr)
				}
				if len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
					t.Errorf("%s: got %v, want %v", input, got, want)
				}
				seen[text(got)] = true
			}
			if len(seen) < 2 {
				t.Errorf("all inputs give %v", seen)
			}
		})
	}
}

// TestQueriesLater: a machine that was used before a query was planned has no room for what
// that remembers.
func TestQueriesLater(t *testing.T) {
	c, err := ast.CompileModulesWithOpt(map[string]string{"t.rego": "package t\n\np := f(input.v)\n\nf(x) := x\n\nq := [g(input.v), r]\n\ng(x) := x\n\nr := input.v"}, ast.CompileOpts{})
	if err != nil {
		t.Fatal(err)
	}
	p := plan.New(c, ast.NewObject())
	for query, want := range map[string]string{"result = data.t.p": "result=1", "result = data.t.q": "result=[1, 1]", "result = data.t": `result={"p": 1, "q": [1, 1], "r": 1}`} {
		q, err := p.Query(ast.MustParseBody(query))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := run(p, q, ast.MustParseTerm(`{"v": 1}`)); err != nil || text(got) != want {
			t.Errorf("%s: got %v, %v, want %s", query, got, err, want)
		}
	}
}

func text(results []string) string {
	if len(results) == 0 {
		return ""
	}
	return results[0]
}
