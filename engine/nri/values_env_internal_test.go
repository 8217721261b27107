package nri

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"

	"github.com/nri-guard/nri-guard/engine"
)

// TestTidyEnvironments come out the same where all of the environment is looked at.
func TestTidyEnvironments(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	entry := func() string {
		return []string{"A", "B", "-A", "A.B", "PATH", "", "X"}[random.IntN(7)] + []string{"=", "=1", "=2", "=x=y", ""}[random.IntN(5)]
	}
	tidied := 0
	for range 20000 {
		var old []string
		var adjust []*api.KeyValue
		for range random.IntN(5) {
			old = append(old, entry())
		}
		for range 1 + random.IntN(3) {
			adjust = append(adjust, &api.KeyValue{Key: []string{"A", "B", "-A", "--A", "-B", "-", "", "C", "A=B"}[random.IntN(9)], Value: fmt.Sprint(random.IntN(3))})
		}
		if !tidy(adjust, old) {
			continue
		}
		tidied++
		some, all := (&Border{}).start("", nil, nil), (&Border{}).start("", nil, nil)
		some.tidyEnv(adjust, old)
		all.untidyEnv(adjust, old)
		if diff := cmp.Diff(variablesOf(all), variablesOf(some)); diff != "" {
			t.Fatalf("%q by %v: %s", old, adjust, diff)
		}
	}
	if tidied < 1000 {
		t.Errorf("only %d were tidy", tidied)
	}
}

func variablesOf(x *builder) *engine.Review {
	r := x.finish(messages{})
	r.Messages, r.Strip = nil, nil
	return r
}

// TestSieve never takes what it has seen for new.
func TestSieve(t *testing.T) {
	var s sieve
	names := make([]string, 0, 40)
	doubts := 0
	for i := range cap(names) {
		names = append(names, fmt.Sprintf("NAME_%d", i))
		if s.doubtful(names[i]) {
			doubts++
		}
	}
	if doubts > 5 {
		t.Errorf("%d of %d names are taken for others", doubts, len(names))
	}
	if slices.ContainsFunc(names, func(name string) bool { return !s.doubtful(name) }) {
		t.Error("a name was forgotten")
	}
}
