package rego

import (
	"strings"
	"testing"

	"github.com/nri-guard/nri-guard/engine/policy/rego/internal/plan"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine"
)

// TestAnswer: anything but sets of entries is a failure of the policy.
func TestAnswer(t *testing.T) {
	tests := []struct{ name, deny, warn, want string }{
		{"nothing", "", "", "it gave no answer; it gave no answer"},
		{"no warnings", "set()", "", "it gave no answer"},
		{"empty", "set()", "set()", ""},
		{"a boolean", "false", "set()", "its answer is of type boolean and not a set"},
		{"an array", `["no"]`, "set()", "its answer is of type array and not a set"},
		{"an object", "set()", `{"a": "no"}`, "its answer is of type object and not a set"},
		{"null", "{null}", "set()", "entry null: it is of type null, and neither a string nor an object"},
		{"a key that is no string", `{{1: "x"}}`, "set()", `entry {1: "x"}: unknown key 1`},
		{"fine and not", `{"fine", 1}`, `{["x"]}`, "entry 1: it is of type number, and neither a string nor an object; " +
			`entry ["x"]: it is of type array, and neither a string nor an object`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := &asked{&policy{Policy: Policy{Name: "p"}, warns: true}, engine.Strip}
			var result answer
			for to, text := range map[**ast.Term]string{&result.denied: tt.deny, &result.warned: tt.warn} {
				if text != "" {
					*to = ast.MustParseTerm(text)
				}
			}
			var v engine.Verdict
			a.answer(result, &v)
			got := ""
			for _, f := range v.Failures {
				if f.Policy != "p" || f.Enforcement != engine.Strip {
					t.Errorf("failure: %+v", f)
				}
				got += f.Message
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if fine := strings.Contains(tt.deny, "fine"); fine != (len(v.Violations) == 1) {
				t.Errorf("violations: %+v", v.Violations)
			}
		})
	}
}

// TestPanic: a panic is a failure of the policy that it happens in.
func TestPanic(t *testing.T) {
	j := newJudge(t, program(t, Sources{Library: many(3, 3)}))
	j.asked[1].query = &plan.Query{}
	v := j.Judge(t.Context(), &engine.Review{Changes: []*engine.Change{
		{ID: "m0", Field: engine.MountPoint, Op: engine.Add, Key: "/forbidden/0", Value: &engine.Mount{}},
		{ID: "m2", Field: engine.MountPoint, Op: engine.Add, Key: "/forbidden/2", Value: &engine.Mount{}},
	}})
	if len(v.Violations) != 2 || v.Violations[0].Policy != "p0" || v.Violations[1].Policy != "p2" {
		t.Errorf("violations: %+v", v.Violations)
	}
	const want = "panic: runtime error: invalid memory address or nil pointer dereference"
	if len(v.Failures) != 1 || v.Failures[0].Policy != "p1" || !strings.HasPrefix(v.Failures[0].Message, want) {
		t.Errorf("failures: %+v", v.Failures)
	}
}
