package rego

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"

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

// TestReadPaths: what is read of input, wherever it goes. A path ends with a zero
// byte where it matters only that something is there.
func TestReadPaths(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"nothing", `deny contains "x" if true`, ``},
		{"input as a whole", `deny contains "x" if count(json.marshal(input)) > 3`, `/`},
		{"a reference", `deny contains "x" if input.pod.labels.app == "x"`, `pod/labels/app`},
		{"a variable in it", `deny contains input.pod.labels[k] if some k in ["a"]`, `pod/labels/*`},
		{"some in", `deny contains c.id if some c in input.changes.mount`, `changes/mount/*/0 changes/mount/*/id`},
		{"some in, unused", `deny contains "x" if some _ in input.changes.mount`, `changes/mount/*/0`},
		{"some key, value", `deny contains k if some k, _ in input.changes.env`, `changes/env/*/0`},
		{"through variables", "deny contains v.source if {\n\tsome c in input.changes.mount\n\tv := c.value\n}",
			`changes/mount/*/0 changes/mount/*/value/0 changes/mount/*/value/source`},
		{"any field", "deny contains c.id if some c in input.changes[_]", `changes/*/*/0 changes/*/*/id`},
		{"into an object", "deny contains json.marshal({\"c\": c}) if some c in input.changes.mount", `changes/mount/*`},
		{"into a builtin", "deny contains json.marshal(c) if some c in input.changes.mount", `changes/mount/*`},
		{"into a set", "deny contains x.id if some x in candidates\n\ncandidates contains c if some c in input.changes.mount", `changes/mount/*`},
		{"into a comparison", "deny contains \"x\" if {\n\tsome c in input.changes.mount\n\tsome d in input.container.mounts\n\tc.value.options == d.options\n}",
			`changes/mount/*/0 changes/mount/*/value/options container/mounts/*/0 container/mounts/*/options`},
		{"twice bound", "deny contains \"x\" if {\n\tx = input.pod.labels\n\tx = input.container.labels\n}", `container/labels pod/labels`},
		{"compared with a result", "deny contains \"x\" if {\n\tx := object.union({}, {})\n\tinput.pod.labels == x\n}", `pod/labels`},
		{"keys", "deny contains \"x\" if \"A\" in object.keys(input.changes.env)", `changes/env/*/0 changes/env/0`},
		{"count", "deny contains \"x\" if count(input.changes.mount) > 3", `changes/mount/*/0 changes/mount/0`},
		{"every", "deny contains \"x\" if every c in input.changes.mount { c.value.readOnly }",
			`changes/mount/*/0 changes/mount/*/value/readOnly changes/mount/0`},
		{"every with its key", "deny contains \"x\" if every k, c in input.pod.labels { k == c }", `pod/labels/* pod/labels/0`},
		{"not", "deny contains \"x\" if not input.pod.linux.cgroupParent", `pod/linux/cgroupParent`},
		{"a comprehension", "deny contains \"x\" if count({c.key | some c in input.changes.mount}) > 3",
			`changes/mount/*/0 changes/mount/*/key`},
		{"a function", "deny contains f(c) if some c in input.changes.mount\n\nf(c) := c.value.source",
			`changes/mount/*/0 changes/mount/*/value/source`},
		{"a function of a reference", "deny contains f(input.pod) if true\n\nf(p) := p.name", `pod/0 pod/name`},
		{"a function of a function", "deny contains f(c) if some c in input.changes.mount\n\nf(c) := g(c.value)\n\ng(v) := v.type",
			`changes/mount/*/0 changes/mount/*/value/0 changes/mount/*/value/type`},
		{"a function with else", "deny contains f(input.pod) if true\n\nf(p) := p.name if p.uid\n\nelse := p.namespace",
			`pod/0 pod/name pod/namespace pod/uid`},
		{"a function with a pattern", "deny contains \"x\" if f(input.container.args)\n\nf([a, _]) if a == \"x\"", `container/args`},
		{"a function that gives it back", "deny contains f(input.pod).name if true\n\nf(p) := p", `pod`},
		{"two callers", "deny contains f(input.pod) if true\n\ndeny contains f(input.container) if true\n\nf(p) := p.name",
			`container/0 container/name pod/0 pod/name`},
		{"with input", "deny contains \"x\" if p with input as {\"pod\": {\"name\": input.container.name}}\n\np if input.pod.name == \"x\"",
			`container/name pod/name`},
		{"with another function", "deny contains \"x\" if p with data.nri.policies.p.f as g\n\np if f(input.pod)\n\nf(_) := true\n\ng(x) if x.name == \"y\"",
			`everything`},
		{"effective", `deny contains "x" if input.effective.args[0] == "sh"`, `effective/args/*`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := compiled(t, tt.body)
			paths := readPaths(p.compiler, p.policies[0].rules)
			got := []string{}
			for _, path := range paths {
				got = append(got, strings.ReplaceAll(strings.Join(path, "/"), nothing, "0"))
			}
			slices.Sort(got)
			text := strings.Join(got, " ")
			if paths == nil {
				text = "everything"
			}
			if len(paths) == 1 && len(paths[0]) == 0 {
				text = "/"
			}
			if diff := cmp.Diff(tt.want, text); diff != "" {
				t.Errorf("paths (-want +got):\n%s", diff)
			}
		})
	}
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

// TestNothingIsMissed: leaving out what is not read, and policies that are not
// concerned, changes no verdict.
func TestNothingIsMissed(t *testing.T) {
	for name, s := range map[string]Sources{"library": {Library: policies.FS}, "curious": {Library: library(curious)}} {
		t.Run(name, func(t *testing.T) {
			p := program(t, s)
			sparing := newJudge(t, p)
			full := newJudge(t, p)
			full.encoder = newEncoder(nil)
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
					t.Fatalf("review %d (-everything +what is read):\n%s", i, diff)
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

// steps of a reference that is not to be taken for a key.
func TestSteps(t *testing.T) {
	ref := ast.MustParseRef(`input.a["b c"][0][x].d`)
	if got := strings.Join(steps(ref), "|"); got != "a|b c|*|*|d" {
		t.Error(got)
	}
}
