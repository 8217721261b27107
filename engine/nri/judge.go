package nri

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/internal/deadline"
	"github.com/nri-guard/nri-guard/engine/internal/stack"
)

// Decider decides reviews, as an [engine.Engine] does.
type Decider interface {
	Decide(ctx context.Context, r *engine.Review) *engine.Decision
	Revoke(ctx context.Context, r *engine.Review, d *engine.Decision, why string)
}

// Judge has a decider decide what a border reads, in half of the time that the
// runtime waits for an answer. It is made by [NewJudge] and safe for concurrent
// use. Whatever goes wrong on the way is a decision that denies.
type Judge struct {
	decider Decider
	terms   atomic.Pointer[terms]
}

// terms are what the runtime tells the guard when it configures its plugins.
type terms struct {
	border Border
	// wait is how long the runtime waits.
	wait time.Duration
}

// NewJudge returns a judge that reads messages by the border, to which it adds
// Places where it has none. Until it is configured the runtime has no name and
// waits as long as NRI does by default.
func NewJudge(d Decider, b Border) *Judge {
	j := &Judge{decider: d}
	if b.Places == nil {
		b.Places = &Places{}
	}
	j.terms.Store(&terms{border: b, wait: api.DefaultPluginRequestTimeout})
	return j
}

// Configure takes note of the runtime's name and of how long it waits for an
// answer.
func (j *Judge) Configure(req *api.ConfigureRequest) {
	t := *j.terms.Load()
	t.border.Runtime = engine.Runtime{Name: req.GetRuntimeName(), Version: req.GetRuntimeVersion()}
	if wait := time.Duration(req.GetRequestTimeout()) * time.Millisecond; wait > 0 {
		t.wait = wait
	}
	j.terms.Store(&t)
}

// Decide has the review judged that build makes. It returns no sooner than the
// engine does: a policy that goes on after its deadline keeps it.
func (j *Judge) Decide(ctx context.Context, op engine.Operation, build func(*Border) *engine.Review) *engine.Decision {
	t := j.terms.Load()
	_, d := j.decide(ctx, t, t.wait/2, op, build)
	return d
}

// decide returns the review too. The limit counts from when it is called.
func (j *Judge) decide(ctx context.Context, t *terms, limit time.Duration, op engine.Operation, build func(*Border) *engine.Review) (r *engine.Review, d *engine.Decision) {
	var err error
	defer func() {
		if err != nil {
			d = denial(err.Error())
		}
	}()
	defer recovered(ctx, &err)
	ctx, cancel := deadline.With(ctx, limit)
	defer cancel()
	r = understand(ctx, op, func() *engine.Review { return build(&t.border) })
	return r, j.decider.Decide(ctx, r)
}

// DecidePromptly is [Judge.Decide] for those who must answer whatever the policies
// and the recorder do, and however long a review takes to make, about messages that
// nobody else uses. When three quarters of the runtime's time are gone, or ctx is at
// its deadline, late is called with a denial, once, by another goroutine. What is
// returned then, in its own time, is nil, and what had been recorded as allowed is
// recorded as denied.
func (j *Judge) DecidePromptly(ctx context.Context, op engine.Operation, build func(*Border) *engine.Review, late func(*engine.Decision)) *engine.Decision {
	t := j.terms.Load()
	patience := t.wait - t.wait/4
	if deadline, ok := ctx.Deadline(); ok {
		patience = max(0, min(patience, time.Until(deadline)))
	}
	why := func() string {
		return fmt.Sprintf("the decision was not made in time: the runtime waits no longer than %s", t.wait)
	}
	stack.Reserve()
	var answered atomic.Bool
	last := time.AfterFunc(patience, func() {
		var err error
		defer recovered(ctx, &err)
		if answered.CompareAndSwap(false, true) {
			late(denial(why()))
		}
	})
	defer last.Stop()
	r, d := j.decide(engine.Unwatch(ctx), t, patience*2/3, op, build)
	if answered.CompareAndSwap(false, true) {
		return d
	}
	j.decider.Revoke(ctx, r, d, why())
	return nil
}

// denial is a decision that the engine had no part in.
func denial(message string) *engine.Decision {
	return &engine.Decision{Time: time.Now().UTC(), Failures: []engine.Failure{{Message: message}}}
}

// understand builds a review. Messages that cannot be read make a review that is
// malformed, and so denied and recorded.
func understand(ctx context.Context, op engine.Operation, build func() *engine.Review) (r *engine.Review) {
	var err error
	defer func() {
		if err != nil {
			r = &engine.Review{Version: engine.Version, Operation: op, Malformed: []string{err.Error()}}
		}
	}()
	defer recovered(ctx, &err)
	return build()
}

// recovered turns a panic into an error. It is deferred wherever NRI calls or is
// called: what a plugin sends must not end the daemon.
func recovered(ctx context.Context, err *error) {
	if p := recover(); p != nil {
		log.G(ctx).WithField("stack", string(debug.Stack())).Errorf("panic while handling an NRI request: %v", p)
		*err = fmt.Errorf("the request could not be handled: %v", p)
	}
}
