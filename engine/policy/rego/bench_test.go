package rego

import (
	"context"
	"encoding/json"
	"slices"
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
	j, err := p.Judge(off)
	if err != nil {
		b.Fatal(err)
	}
	r := reviewtest.Reference()
	b.ReportAllocs()
	for b.Loop() {
		once(b, j, r)
	}
}

// BenchmarkJSON asks the same policies through a JSON document.
func BenchmarkJSON(b *testing.B) {
	p, off := baseline(b)
	ask := throughJSON(b, p, off, reviewtest.Reference())
	b.ReportAllocs()
	for b.Loop() {
		ask()
	}
}

// throughJSON asks the same policies the way OPA is commonly used.
func throughJSON(tb testing.TB, p *Program, off map[string]engine.Enforcement, r *engine.Review) func() {
	query := ""
	for _, x := range p.policies {
		if _, ok := off[x.Name]; !ok {
			query += x.Name + " := " + ruleRef(x.Name, denyRule).String() + "\n"
		}
	}
	prepared, err := rego.New(rego.Query(query), rego.Compiler(p.compiler), rego.StrictBuiltinErrors(true)).PrepareForEval(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	return func() {
		text, err := document.Marshal(r, document.Options{})
		if err != nil {
			tb.Fatal(err)
		}
		var input any
		if err := json.Unmarshal(text, &input); err != nil {
			tb.Fatal(err)
		}
		results, err := prepared.Eval(context.Background(), rego.EvalInput(input))
		if err != nil || len(results) != 1 {
			tb.Fatal(len(results), err)
		}
	}
}

// BenchmarkAgainstJSON holds the judge to what makes plans and parts worthwhile: it is at
// least five times as fast as OPA's interpreter through JSON.
func BenchmarkAgainstJSON(b *testing.B) {
	p, off := baseline(b)
	j, err := p.Judge(off)
	if err != nil {
		b.Fatal(err)
	}
	r := reviewtest.Reference()
	for b.Loop() {
		best := fastest(func() { once(b, j, r) }, throughJSON(b, p, off, r))
		judge, viaJSON := best[0], best[1]
		b.ReportMetric(float64(viaJSON)/float64(judge), "times-as-fast")
		b.ReportMetric(float64(judge)/1e3, "us-judge")
		b.ReportMetric(float64(viaJSON)/1e3, "us-json")
		if 5*judge > viaJSON {
			b.Errorf("it takes %v, and through JSON %v", judge, viaJSON)
		}
	}
}

// fastest of many runs of each, in turns: that is what a busy machine disturbs least.
func fastest(each ...func()) []time.Duration {
	best := slices.Repeat([]time.Duration{time.Hour}, len(each))
	for range 500 {
		for i, f := range each {
			start := time.Now()
			f()
			best[i] = min(best[i], time.Since(start))
		}
	}
	return best
}
