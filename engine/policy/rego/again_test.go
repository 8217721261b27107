package rego

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/internal/reviewtest"
)

// again are policies that look at much of a review, hold on to parts of it, and fail for some.
const again = `constant := {same("/etc"), same("0"), same("")}

same(x) := x

deny contains {"change": c.id, "msg": sprintf("%v %v", [c.key, same(c.value)])} if some c in input.changes.mount

deny contains {"change": c.id, "msg": same(c.key)} if {
	some c in input.changes.env
	same(c.key) in constant
}

deny contains {"msg": json.marshal(other)} if {
	other := x with input as {"changes": input.changes, "pod": {"name": "other"}}
}

x := [input.pod.name, [k | some k, _ in input.changes]]

deny contains {"msg": sprintf("%d", [to_number(input.pod.name)])} if input.pod.name
`

// TestUsedAgain: what a judge answers does not depend on what it was asked before, nor on what
// it is asked at the same time, whatever the sizes, orders and deadlines.
func TestUsedAgain(t *testing.T) {
	large := &engine.Review{Pod: &api.PodSandbox{Name: "large"}}
	for i := range 5000 {
		large.Changes = append(large.Changes, &engine.Change{ID: "m" + strconv.Itoa(i), Op: engine.Add, Field: engine.MountPoint, Key: "/" + strconv.Itoa(i),
			Value: &engine.Mount{Type: "bind", ResolvedSource: "/etc"}})
	}
	env := func(pod string, keys ...string) *engine.Review {
		r := &engine.Review{Pod: &api.PodSandbox{Name: pod}}
		for i, k := range keys {
			r.Changes = append(r.Changes, &engine.Change{ID: "e" + strconv.Itoa(i), Op: engine.Add, Field: engine.Env, Key: k, Value: k})
		}
		return r
	}
	apart := env("1", "/etc", "", "0")
	apart.Changes = slices.Insert(apart.Changes, 1, large.Changes[0]) // the changes of a field are not together
	reviews := []*engine.Review{large, env("1", "/etc", "0", ""), env("1e0", "/usr", "1", "x"), env("\xff", "\xff", "/etc\x00"), env("no number", "/etc"), apart, {}, reviewtest.Rich()}
	for seed := range uint64(20) {
		reviews = append(reviews, reviewtest.Random(rand.New(rand.NewPCG(seed, 9))))
	}
	want := make([]engine.Verdict, len(reviews))
	for i, r := range reviews {
		want[i] = newJudge(t, compiled(t, again)).Judge(t.Context(), r)
	}
	j := newJudge(t, compiled(t, again))
	var all sync.WaitGroup
	for seed := range uint64(4) {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 10))
			for range 30 {
				i := rng.IntN(len(reviews))
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				switch rng.IntN(3) {
				case 0:
					ctx = engine.Unwatch(ctx)
				case 1: // somebody is left behind with a review that others look at too
					hasty, hurry := context.WithTimeout(t.Context(), time.Duration(rng.IntN(300))*time.Microsecond)
					j.Judge(hasty, reviews[i])
					hurry()
				}
				if diff := cmp.Diff(want[i], j.Judge(ctx, reviews[i])); diff != "" {
					t.Errorf("review %d (-at first +again):\n%s", i, diff)
				}
				cancel()
			}
		})
	}
	all.Wait()
}
