package rego

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/document"
	"github.com/nri-guard/nri-guard/engine/internal/reviewtest"
	"github.com/nri-guard/nri-guard/policies"
)

// baseline enforces the library's baseline.
func baseline(tb testing.TB) (*Program, map[string]engine.Enforcement) {
	tb.Helper()
	p, err := Load(context.Background(), Sources{Library: policies.FS})
	if err != nil {
		tb.Fatal(err)
	}
	return p, map[string]engine.Enforcement{"ungranted_changes": engine.Off}
}

func BenchmarkJudge(b *testing.B) {
	p, off := baseline(b)
	j, err := p.Judge(b.Context(), off)
	if err != nil {
		b.Fatal(err)
	}
	r := reviewtest.Reference()
	b.ReportAllocs()
	for b.Loop() {
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		if v := j.Judge(ctx, r); len(v.Failures) > 0 || len(v.Violations) > 0 {
			b.Fatal(v)
		}
		cancel()
	}
}

func BenchmarkConversion(b *testing.B) {
	p, off := baseline(b)
	j, err := p.Judge(b.Context(), off)
	if err != nil {
		b.Fatal(err)
	}
	r := reviewtest.Reference()
	b.ReportAllocs()
	for b.Loop() {
		j.encoder.encode(r)
	}
}

// BenchmarkJSON asks the same policies through a JSON document, as OPA is
// commonly used.
func BenchmarkJSON(b *testing.B) {
	p, off := baseline(b)
	query := ""
	for _, x := range p.policies {
		if _, ok := off[x.Name]; !ok {
			query += x.Name + " := " + ruleRef(x.Name, denyRule).String() + "\n"
		}
	}
	prepared, err := rego.New(rego.Query(query), rego.Compiler(p.compiler), rego.StrictBuiltinErrors(true)).PrepareForEval(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	r := reviewtest.Reference()
	b.ReportAllocs()
	for b.Loop() {
		text, err := document.Marshal(r, document.Options{})
		if err != nil {
			b.Fatal(err)
		}
		var input any
		if err := json.Unmarshal(text, &input); err != nil {
			b.Fatal(err)
		}
		results, err := prepared.Eval(b.Context(), rego.EvalInput(input))
		if err != nil || len(results) != 1 {
			b.Fatal(err)
		}
	}
}
