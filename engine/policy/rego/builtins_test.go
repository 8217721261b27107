package rego

import (
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// TestBuiltinsJudged: each builtin of this version of OPA is either allowed or
// refused, once, and nothing is listed that does not exist.
func TestBuiltinsJudged(t *testing.T) {
	listed := map[string]string{}
	for _, c := range append(append([]builtins{}, allowed...), refused...) {
		for _, name := range c.names {
			if other, twice := listed[name]; twice {
				t.Errorf("%s is listed twice: %s; %s", name, other, c.why)
			}
			listed[name] = c.why
		}
	}
	known := map[string]bool{}
	for _, b := range ast.CapabilitiesForThisVersion().Builtins {
		known[b.Name] = true
		if _, ok := listed[b.Name]; !ok {
			t.Errorf("%s is neither allowed nor refused", b.Name)
		}
	}
	for name := range listed {
		if !known[name] {
			t.Errorf("there is no builtin %s", name)
		}
	}
	for _, c := range allowedInTests {
		for _, name := range c.names {
			if refusal(name) == "" {
				t.Errorf("%s is allowed in policies anyway", name)
			}
		}
	}
}

// TestNondeterministic: nothing that OPA itself calls nondeterministic is allowed.
func TestNondeterministic(t *testing.T) {
	for _, tests := range []bool{false, true} {
		for _, b := range capabilities(tests).Builtins {
			if b.Nondeterministic {
				t.Errorf("%s", b.Name)
			}
		}
	}
}
