package policy_test

import (
	"context"
	"testing"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/internal/reviewtest"
	"github.com/nri-guard/nri-guard/engine/policy"
)

// BenchmarkDecide is a whole decision on the reference request, without the review being
// made of NRI's messages.
func BenchmarkDecide(b *testing.B) {
	for _, profile := range policy.Profiles() {
		b.Run(profile, func(b *testing.B) {
			guard := guardOf(b, profile)
			r := reviewtest.Reference()
			b.ReportAllocs()
			for b.Loop() {
				guard.Decide(context.Background(), r)
			}
		})
	}
}

// TestAllocations holds a decision to what it may allocate.
func TestAllocations(t *testing.T) {
	guard := guardOf(t, policy.Baseline)
	r := reviewtest.Reference()
	const most = 300
	if n := testing.AllocsPerRun(20, func() {
		if d := guard.Decide(context.Background(), r); !d.Allowed {
			t.Fatal(d.Reasons())
		}
	}); n > most {
		t.Errorf("%.0f allocations, at most %d", n, most)
	}
}

func guardOf(tb testing.TB, profile string) *engine.Engine {
	tb.Helper()
	set, err := policy.Load(context.Background(), policy.Config{Policy: policy.Policies{Profile: policy.Profile{Enforce: profile}}})
	if err != nil {
		tb.Fatal(err)
	}
	return engine.New(set.Rules())
}
