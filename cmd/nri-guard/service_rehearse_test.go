package main

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/engine"
)

// looking is a set of policies that looks at reviews.
type looking func(context.Context, *engine.Review)

func (l looking) Judge(ctx context.Context, r *engine.Review) engine.Verdict {
	l(ctx, r)
	return engine.Verdict{}
}

func (looking) Revision() string { return "r" }

// TestRehearse: what is rehearsed is the reference request; nothing of it is recorded, and
// policies that are slow, hang or panic keep nobody.
func TestRehearse(t *testing.T) {
	hung := make(chan struct{})
	defer close(hung)
	for name, c := range map[string]struct {
		judge looking
		want  int32
	}{
		"as it should be": {func(_ context.Context, r *engine.Review) {
			var fields []engine.Field
			for _, x := range r.Changes {
				fields = append(fields, x.Field)
			}
			want := []engine.Field{engine.Annotation, engine.Env, engine.MountPoint, engine.Resource}
			if slices.Sort(fields); !slices.Equal(slices.Compact(fields), want) || r.Malformed != nil {
				t.Errorf("changes of %v, %v", fields, r.Malformed)
			}
		}, rehearsals},
		"slow":   {func(ctx context.Context, _ *engine.Review) { <-ctx.Done() }, 1},
		"hangs":  {func(context.Context, *engine.Review) { <-hung }, 1},
		"panics": {func(context.Context, *engine.Review) { panic("boom") }, rehearsals},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			begin := time.Now()
			rehearse(engine.Rules{Timeout: time.Minute, Recorder: unrecordable{t}, Policies: looking(func(ctx context.Context, r *engine.Review) {
				asked.Add(1)
				c.judge(ctx, r)
			})})
			took := time.Since(begin)
			if n := asked.Load(); n != c.want && (n == 0 || took < slow) { // a busy machine is slow too
				t.Errorf("asked %d times, want %d", n, c.want)
			}
			if took > 10*patience {
				t.Errorf("it took %s", took)
			}
		})
	}
}
