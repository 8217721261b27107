package tests

import (
	"context"
	"os"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
	"github.com/nri-guard/nri-guard/engine/policy"
)

// reference is the request that speed is measured with: 5 mounts, 30 variables, 3
// plugins. It is the one that "nri-guard bench" has built in.
func reference(b *testing.B) *api.ValidateContainerAdjustmentRequest {
	b.Helper()
	text, err := os.ReadFile("../cmd/nri-guard/reference.json")
	if err != nil {
		b.Fatal(err)
	}
	req := &api.ValidateContainerAdjustmentRequest{}
	if err := protojson.Unmarshal(text, req); err != nil {
		b.Fatal(err)
	}
	return req
}

// BenchmarkDecision measures the whole way from NRI's message to the decision, with
// the profile baseline.
func BenchmarkDecision(b *testing.B) {
	set, err := policy.Load(context.Background(), policy.Config{})
	if err != nil {
		b.Fatal(err)
	}
	border, guard, req := &nri.Border{Places: &nri.Places{}}, engine.New(set.Rules()), reference(b)
	b.ReportAllocs()
	for b.Loop() {
		if d := guard.Decide(context.Background(), border.Adjustment(req)); !d.Allowed {
			b.Fatal(d.Reasons())
		}
	}
}

// BenchmarkReview measures the part of it that makes the review.
func BenchmarkReview(b *testing.B) {
	border, req := &nri.Border{Places: &nri.Places{}}, reference(b)
	b.ReportAllocs()
	for b.Loop() {
		border.Adjustment(req)
	}
}
