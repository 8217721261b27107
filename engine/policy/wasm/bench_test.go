package wasm

import (
	"context"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
)

// BenchmarkBudget holds a decision of a validator, from the review to the verdict, to
// what it may take: the best of many rounds, since other processes only ever add.
func BenchmarkBudget(b *testing.B) {
	const most = 15_000 // nanoseconds
	request := &api.ValidateContainerAdjustmentRequest{}
	if err := proto.Unmarshal(exampleRequest(b), request); err != nil {
		b.Fatal(err)
	}
	r := &engine.Review{Operation: engine.CreateContainer, Messages: requester{request}}
	for _, language := range []string{"c", "rust", "assemblyscript"} {
		b.Run(language, func(b *testing.B) {
			p, err := Load(context.Background(), []Config{{Name: "example", Path: exampleFile(b, language)}}, Options{})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				times := quickest(func() { p.Judge(context.Background(), r) })
				b.ReportMetric(times[0], "best-ns")
				if times[0] > most {
					b.Errorf("a decision takes %.0f ns, at most %d", times[0], most)
				}
			}
		})
	}
}

// TestAllocations holds a decision of a small validator to what it may allocate.
func TestAllocations(t *testing.T) {
	const most = 30
	request := &api.ValidateContainerAdjustmentRequest{}
	if err := proto.Unmarshal(exampleRequest(t), request); err != nil {
		t.Fatal(err)
	}
	r := &engine.Review{Operation: engine.CreateContainer, Messages: requester{request}}
	for _, language := range []string{"c", "rust", "assemblyscript"} {
		p, err := Load(context.Background(), []Config{{Name: "example", Path: exampleFile(t, language)}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { p.Judge(context.Background(), r) }); n > most {
			t.Errorf("%s: %.0f allocations, at most %d", language, n, most)
		}
	}
}
