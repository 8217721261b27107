package plan_test

import (
	"slices"
	"testing"
)

// TestTricky holds what OPA's own cases do not spell like that against topdown.
func TestTricky(t *testing.T) {
	for name, module := range map[string]string{
		"numbers that are spelled otherwise": "p contains [x, y] if { some x in [1, 1.0, 10e-1, 100e-2]; some y in {1, 2.0, -0, 0}; x == y }",
		"numbers as keys":                    "o := {1: \"a\", 1.5: \"b\", \"1\": \"c\"}\np contains o[k] if some k in [1.0, 15e-1, \"1\"]",
		"a pattern for a key":                "s contains [x, y] if { some x, y in [1, 2, 1] }\np contains y if s[[1, y]]\nq if s[[_, 7]]",
		"else behind an early exit":          "f(x) := 1 if x > 2 else := 2 if x > 1 else := 3\np contains f(x) if some x in [1, 2, 3]",
		"a conflict that is found late":      "f(x) := y if some y in [x, x + 1]\np contains f(1)",
		"false and undefined results":        "f(x) := false if x == 1\ng(x) := x > 1\np contains \"f\" if f(1)\np contains \"nf\" if not f(1)\np contains \"g\" if not g(1)\np contains \"u\" if not f(2)",
		"with within with":                   "a := input.x\np contains [b, c] if { b := a with input.x as 1; c := a with input as {\"x\": 2} }\nq := z if { w := 3; z := [v | v := a with input.x as w] }",
		"a set of sets that are grouped":     "p contains {x | some x in [1, 2, 3]; x > y} if some y in [0, 1, 2, 3]\nobj := {k: v | some k in [\"a\", \"b\"]; v := {w | some w in [1, 2]; w > count(k)}}",
		"every over nothing and over text":   "p contains 1 if every x in [] { x }\np contains 2 if every x in \"text\" { x }\np contains 3 if every k, v in {\"a\": 1} { k == \"a\"; v == 1 }",
		"a partial object that overlaps":     "o[k] := v if some k, v in {\"a\": 1, \"b\": 2}\no.c.d := 3\no.c[x] := x if some x in [\"e\"]\np contains o",
		"errors that nobody reaches":         "p contains 1 if { false; 1 / 0 }\np contains 2 if { x := [1 | 1 / 0 == 1]; x == [] }",
		"text that compares as numbers":      "p contains x if some x in sort([10, 9, \"10\", \"9\", null, true, {}, [], set()])\nq := \"10\" < \"9\"",
		"what is not equal":                  "p contains y if { some x in [1, 2]; y := x != 1 }\nq if 1 != 1\nr if not 1 != 1\ns if 1 != o.b\nt if o.b != 1\nu if not o.b != 1\nv if not 1 != o.b\nw if o.a != 2\no[k] := 1 if some k in [\"a\"]",
		"what is not equal to an error":      "p if 1 != to_number(x)\nx := \"x\"",
		"a term that is negated":             "p contains x if { some x in [false, null, 0, true, \"\", []]; not x }\nq if not o.a\nr if not o.b\nt if not f(1)\nu if not f(2)\nf(x) := false if x == 1\no[k] := 1 if some k in [\"a\"]",
		"a negated error":                    "p if not f(1)\nf(x) := y if y := x / 0",
		"a negated term with":                "p if not q with data.t.o as {\"a\": false}\nr if { not q with data.t.o as {\"b\": 1}; q }\nq := o.a\no[k] := 1 if some k in [\"a\"]",
		"concat of what is written out":      "p contains concat(d, [x, \"b\", y]) if { some d in [\"\", \"/\"]; some x in [\"a\", \"\"]; some y in {\"ä\", x} }\nq := concat(\"/\", [])\nr := concat(\"/\", [\"a\", o.b])\ns := concat(\"/\", [\"a\", o.c])\no.c := \"c\"\no[k] := \"1\" if some k in [\"a\"]",
		"concat of what is no text":          "p contains concat(\"/\", [x, \"b\"]) if some x in [\"a\", 1]",
		"concat of lists":                    "p contains concat(\"/\", [x, \"b\"]) if some x in [\"a\", [\"c\"]]",
		"concat by what is no text":          "p contains concat(d, [\"a\", \"b\"]) if some d in [\"/\", 1]",
		"concat by what is no text, of one":  "p contains concat(d, [\"a\"]) if some d in [\"/\", 1]",
		"concat of nothing by no text":       "p contains concat(d, []) if some d in [\"/\", 1]",
		"concat of a set":                    "p contains concat(\"/\", {\"b\", x}) if some x in [\"a\", \"c\"]",
		"concat that is replaced":            "p := x if x := concat(\"/\", [\"a\", \"b\"]) with concat as 7\nq := x if x := concat(\"/\", [\"a\", \"b\"]) with concat as f\nf(d, l) := [l, d]",
		"concat with a result":               "p if concat(\"/\", [\"a\", o.a]) == \"a/1\"\nq if \"a/2\" == concat(\"/\", [\"a\", o.a])\nr if not concat(\"/\", [\"a\", o.b])\ns if concat(\"\", [\"\", \"\"])\no[k] := \"1\" if some k in [\"a\"]",
		"sets with nothing in common":        "p contains [a & b, a | b, a - b] if { some a in sets; some b in sets }\nsets := [set(), {1}, {1.0, 2}, {2, 3}, {\"1\"}, {[1], {1}}, {{1}, 4, 5, 6}]",
		"no sets":                            "p contains a & b if { some a in [{1}, [1]]; some b in [{1}, {2}] }",
		"no sets to unite":                   "p contains a | b if { some a in [set(), 1]; some b in [set(), {2}] }",
	} {
		t.Run(name, func(t *testing.T) {
			m := planned(t, module, "result = data.t")
			want, wantErr := m.byTopdown(nil)
			got, gotErr := m.run(nil)
			if (wantErr == nil) != (gotErr == nil) || wantErr != nil && wantErr.Error() != gotErr.Error() {
				t.Errorf("error %v, want %v", gotErr, wantErr)
			}
			if wantErr == nil && !slices.Equal(got, want) {
				t.Errorf("got %v\nwant %v", got, want)
			}
		})
	}
}
