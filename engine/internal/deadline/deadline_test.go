package deadline_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nri-guard/nri-guard/engine/internal/deadline"
)

// TestLikeContext: whatever is done with such a context, what it tells is what one of
// package context tells.
func TestLikeContext(t *testing.T) {
	why := errors.New("why")
	type with func(context.Context, time.Duration) (context.Context, context.CancelFunc)
	for name, ask := range map[string]func(with, func(context.Context)){
		"fresh": func(with with, told func(context.Context)) {
			ctx, cancel := with(context.Background(), time.Second)
			defer cancel()
			told(ctx)
		},
		"over": func(with with, told func(context.Context)) {
			ctx, cancel := with(context.Background(), time.Second)
			defer cancel()
			time.Sleep(time.Second)
			synctest.Wait()
			told(ctx)
		},
		"over, and waited for": func(with with, told func(context.Context)) {
			ctx, cancel := with(context.Background(), time.Second)
			defer cancel()
			<-ctx.Done()
			told(ctx)
		},
		"over before it began": func(with with, told func(context.Context)) {
			ctx, cancel := with(context.Background(), -time.Second)
			defer cancel()
			told(ctx)
		},
		"cancelled": func(with with, told func(context.Context)) {
			ctx, cancel := with(context.Background(), time.Second)
			cancel()
			cancel()
			told(ctx)
			time.Sleep(2 * time.Second)
			told(ctx)
			<-ctx.Done()
			told(ctx)
		},
		"cancelled while somebody waits": func(with with, told func(context.Context)) {
			ctx, cancel := with(context.Background(), time.Second)
			done := ctx.Done()
			cancel()
			<-done
			told(ctx)
		},
		"the parent's end": func(with with, told func(context.Context)) {
			parent, end := context.WithCancelCause(context.Background())
			ctx, cancel := with(parent, time.Second)
			defer cancel()
			end(why)
			told(ctx)
			<-ctx.Done()
			told(ctx)
		},
		"the parent's deadline": func(with with, told func(context.Context)) {
			parent, end := context.WithTimeoutCause(context.Background(), time.Millisecond, why)
			defer end()
			ctx, cancel := with(parent, time.Second)
			defer cancel()
			told(ctx)
			time.Sleep(time.Millisecond)
			synctest.Wait()
			told(ctx)
		},
		"a parent of the kind": func(with with, told func(context.Context)) {
			parent, end := with(context.Background(), time.Millisecond)
			defer end()
			ctx, cancel := with(parent, time.Second)
			defer cancel()
			<-ctx.Done()
			told(ctx)
		},
		"a child": func(with with, told func(context.Context)) {
			parent, end := with(context.Background(), time.Millisecond)
			ctx, cancel := context.WithCancel(parent)
			defer cancel()
			end()
			<-ctx.Done()
			told(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			type state struct {
				at         time.Time
				err, cause error
			}
			var want, got []state
			for _, x := range []struct {
				with with
				to   *[]state
			}{{context.WithTimeout, &want}, {deadline.With, &got}} {
				synctest.Test(t, func(*testing.T) {
					ask(x.with, func(ctx context.Context) {
						at, _ := ctx.Deadline()
						*x.to = append(*x.to, state{at, ctx.Err(), context.Cause(ctx)})
					})
				})
			}
			if len(want) != len(got) {
				t.Fatalf("got %v, want %v", got, want)
			}
			for i := range want {
				if !got[i].at.Equal(want[i].at) || !errors.Is(got[i].err, want[i].err) || !errors.Is(got[i].cause, want[i].cause) {
					t.Errorf("got %v, want %v", got[i], want[i])
				}
			}
		})
	}
}
