package rego

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/internal/reviewtest"
	"github.com/nri-guard/nri-guard/policies"
)

// compiled compiles one policy.
func compiled(tb testing.TB, body string) *Program {
	tb.Helper()
	return program(tb, Sources{Library: library(body)})
}

func program(tb testing.TB, s Sources) *Program {
	tb.Helper()
	p, err := Load(context.Background(), s)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// TestNeeds: which change fields concern a policy.
func TestNeeds(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"one", `deny contains c.id if some c in input.changes.mount`, "[mount]"},
		{"two rules", "deny contains c.id if some c in input.changes.mount\n\nwarn contains c.id if some c in input.changes.hook", "[hook mount]"},
		{"none", `deny contains "x" if input.pod.name == "x"`, "[]"},
		{"one rule needs none", "deny contains c.id if some c in input.changes.mount\n\nwarn contains \"x\" if input.pod.name == \"x\"", "[]"},
		{"not", `deny contains "x" if not input.changes.mount`, "[]"},
		{"every", `deny contains "x" if every c in input.changes.mount { c.granted }`, "[mount]"},
		{"a comprehension", `deny contains "x" if count([c | some c in input.changes.mount]) == 0`, "[]"},
		{"count", `deny contains "x" if count(input.changes.mount) > 1`, "[mount]"},
		{"a variable field", `deny contains c.id if some c in input.changes[_]`, "[]"},
		{"a set's member", "deny contains c.id if some c in m\n\nm contains c if some c in input.changes.mount", "[mount]"},
		{"a set", "deny contains \"x\" if count(m) == 0\n\nm contains c if some c in input.changes.mount", "[]"},
		{"a rule", "deny contains \"x\" if m\n\nm if input.changes.mount[0].granted", "[mount]"},
		{"a rule with a default", "deny contains \"x\" if m == 1\n\ndefault m := 1\n\nm := 2 if input.changes.mount", "[]"},
		{"a rule with else", "deny contains \"x\" if m == 1\n\nm := 2 if input.changes.mount\n\nelse := 1", "[]"},
		{"rules that need others", "deny contains \"x\" if m\n\nm if input.changes.mount\n\nm if input.changes.hook", "[]"},
		{"a function", "deny contains \"x\" if f(1)\n\nf(_) if input.changes.mount", "[mount]"},
		{"a function's argument", "deny contains \"x\" if f(input.changes.mount)\n\nf(_) := 1", "[mount]"},
		{"with", "deny contains \"x\" if m with input as {\"changes\": {}}\n\nm if input.changes.mount", "[]"},
		{"an object of rules", "deny contains \"x\" if m.a\n\nm[k] := 1 if {\n\tsome k in [\"a\"]\n\tinput.changes.mount\n}", "[]"},
		{"in brackets", `deny contains "x" if {"a": 1}[input.changes.mount[0].key]`, "[mount]"},
		{"in an array", `deny contains "x" if [input.changes.mount[0].key][0] == "a"`, "[mount]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := fmt.Sprint(compiled(t, tt.body).Policies()[0].Fields); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestNothingIsMissed: leaving out policies that are not concerned changes no verdict.
func TestNothingIsMissed(t *testing.T) {
	for name, s := range map[string]Sources{"library": {Library: policies.FS}, "curious": {Library: library(curious)}} {
		t.Run(name, func(t *testing.T) {
			p := program(t, s)
			sparing := newJudge(t, p)
			full := newJudge(t, p)
			full.relevant = 0
			for _, a := range full.asked {
				known := *a.policy
				known.needs = []fieldSet{0}
				a.policy = &known
			}
			reviews := []*engine.Review{reviewtest.Reference(), reviewtest.Rich()}
			for seed := range uint64(150) {
				reviews = append(reviews, reviewtest.Random(rand.New(rand.NewPCG(seed, 1))))
			}
			for i, r := range reviews {
				want, got := full.Judge(t.Context(), r), sparing.Judge(t.Context(), r)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("review %d (-all +those concerned):\n%s", i, diff)
				}
			}
		})
	}
}

// curious looks at much of a review, in many ways.
const curious = `
deny contains json.marshal([c.id, c.value]) if some c in input.changes.mount

deny contains json.marshal(c) if some c in input.changes.hook

deny contains json.marshal({"keys": object.keys(input.changes.env), "count": count(input.plugins)}) if true

deny contains json.marshal(fields(c)) if some c in input.changes.device

deny contains c.id if {
	some f, cs in input.changes
	some c in cs
	startswith(f, "s")
}

deny contains json.marshal([x | some x in input.container.mounts]) if every c in input.changes.annotation { c.value != c.old }

deny contains json.marshal(v) if {
	some path
	walk(input.pod, [path, v])
	count(path) == 2
}

deny contains sprintf("%v", [input.effective.env]) if input.changes.env

fields(c) := [c.value.major, c.value.minor, paths(c.value)]

paths(v) := {p | some p in v.hostPaths}
`

func newJudge(tb testing.TB, p *Program) *Judge {
	tb.Helper()
	j, err := p.Judge(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return j
}
