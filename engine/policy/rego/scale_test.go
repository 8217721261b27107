package rego

import (
	"context"
	"fmt"
	"io/fs"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/internal/reviewtest"
)

// many is a library of n policies; those from concerned on are about hooks, of which
// the reference request has none.
func many(n, concerned int) fs.FS {
	library := fstest.MapFS{}
	for i := range n {
		field := "mount"
		if i >= concerned {
			field = "hook"
		}
		library[fmt.Sprintf("p%d/p.rego", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, `package nri.policies.p%d

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.%s
	startswith(c.key, "/forbidden/%d")
	not c.granted
	msg := sprintf("%%s is forbidden", [c.key])
}
`, i, field, i)}
	}
	return library
}

func manyJudge(tb testing.TB, n, concerned int) *Judge {
	tb.Helper()
	return newJudge(tb, program(tb, Sources{Library: many(n, concerned)}))
}

// BenchmarkPolicies is a decision of n policies that all concern the request.
func BenchmarkPolicies(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { decide(b, manyJudge(b, n, n)) })
	}
	b.Run("10of1000", func(b *testing.B) { decide(b, manyJudge(b, 1000, 10)) })
}

func decide(b *testing.B, j *Judge) {
	r := reviewtest.Reference()
	b.ReportAllocs()
	for b.Loop() {
		once(b, j, r)
	}
	b.ReportMetric(float64(fastest(func() { once(b, j, r) })[0])/1e3, "us-quickest")
}

func once(tb testing.TB, j *Judge, r *engine.Review) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if v := j.Judge(ctx, r); len(v.Failures)+len(v.Violations) > 0 {
		tb.Fatal(v)
	}
}

// BenchmarkScale: policies that a request does not concern cost next to nothing. With
// 990 such, ten that it does concern take at most three times what they take alone.
func BenchmarkScale(b *testing.B) {
	r := reviewtest.Reference()
	few, lots := manyJudge(b, 10, 10), manyJudge(b, 1000, 10)
	for b.Loop() {
		best := fastest(func() { once(b, few, r) }, func() { once(b, lots, r) })
		alone, among := best[0], best[1]
		b.ReportMetric(float64(among)/float64(alone), "times-alone")
		if among > 3*alone {
			b.Errorf("10 policies take %v, and with 990 others %v", alone, among)
		}
	}
}

// TestKeptIsBounded: plugins choose which fields change together, and must not
// fill the memory by that.
func TestKeptIsBounded(t *testing.T) {
	library := fstest.MapFS{}
	for i, spec := range engine.Fields() {
		library[fmt.Sprintf("p%d/p.rego", i)] = &fstest.MapFile{Data: fmt.Appendf(nil,
			"package nri.policies.p%d\n\ndeny contains c.id if some c in input.changes.%s\n", i, spec.Field)}
	}
	j := newJudge(t, program(t, Sources{Library: library}))
	for set := range fieldSet(2000) {
		if list := j.concern(set); len(list) != len(set.fields()) {
			t.Fatalf("%v: %d policies", set.fields(), len(list))
		}
	}
	kept := 0
	j.concerned.Range(func(any, any) bool { kept++; return true })
	if kept != maxKept {
		t.Errorf("%d lists are kept", kept)
	}
}

// TestConcurrent: a judge serves many at a time, each its own review.
func TestConcurrent(t *testing.T) {
	j := newJudge(t, compiled(t, `deny contains {"msg": sprintf("%s %s", [c.key, input.pod.name]), "change": c.id} if some c in input.changes[_]`))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 50 {
				r := reviewtest.Reference()
				r.Pod.Name = fmt.Sprintf("pod-%d-%d", i, n)
				v := j.Judge(context.Background(), r)
				if len(v.Violations) != len(r.Changes) || len(v.Failures) > 0 {
					t.Errorf("%d violations, failures: %v", len(v.Violations), v.Failures)
					return
				}
				for _, x := range v.Violations {
					c := r.Change(x.Change)
					if c == nil || x.Message != c.Key+" "+r.Pod.Name {
						t.Errorf("%s: %s", x.Change, x.Message)
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestConstantsConcurrently: what all evaluations share, as it was written or found, is not
// put in order by one while others look at it. The race detector is the judge.
func TestConstantsConcurrently(t *testing.T) {
	for range 20 {
		j := newJudge(t, compiled(t, `deny contains {"change": c.id} if {
	some c in input.changes.mount
	count(found | {c.key, "a"}) + count(found - {c.key}) + count(written | {c.key}) + count(found & {"c", c.key}) > 0
	count(object.union(table, {c.key: 1})) > 0
	some f in found
	some w in written
	some k, _ in table
	c.key in {f, w, k}
}

written := {"z", "y", "x", "w", "v", "u", "t"}

found := {x | some x in ["z", "y", "x", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]}

table[x] := 1 if some x in found
`))
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 5 {
					if v := j.Judge(context.Background(), mounted("d")); len(v.Violations) != 1 {
						t.Errorf("%+v", v)
					}
				}
			})
		}
		wg.Wait()
	}
}
