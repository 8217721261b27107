package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/nri-guard/nri-guard/engine/internal/deadline"
)

// record tells the recorder, which has as long as a decision may take. A decision
// that cannot be recorded denies.
func (rules *Rules) record(ctx context.Context, r *Review, d *Decision) {
	if rules.Recorder == nil || r == nil {
		return
	}
	ctx, cancel := deadline.With(context.WithoutCancel(ctx), cmp.Or(rules.Timeout, DefaultTimeout))
	defer cancel()
	err := rules.tellInTime(ctx, r, d)
	if err != nil && !rules.RecordBestEffort {
		d.fail("the decision could not be recorded: " + err.Error())
	}
}

// tellInTime tells the recorder. What it writes too late is revoked.
func (rules *Rules) tellInTime(ctx context.Context, r *Review, d *Decision) error {
	const late = "it was not written in time: %w"
	written := *d           // the recorder may be reading it still when it is given up
	var settled atomic.Bool // whether it was written in time or not
	tell := func() error {
		err := rules.tell(ctx, r, &written)
		if ctx.Err() == nil && settled.CompareAndSwap(false, true) {
			return err
		}
		if err == nil && !rules.RecordBestEffort {
			rules.revoke(ctx, r, &written, "the decision could not be recorded in time")
		}
		return fmt.Errorf(late, cmp.Or(err, context.Cause(ctx)))
	}
	if Unwatched(ctx) {
		return tell()
	}
	done := make(chan error, 1)
	go func() { done <- tell() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	if settled.CompareAndSwap(false, true) {
		return fmt.Errorf(late, context.Cause(ctx))
	}
	return <-done
}

// Revoke records that the answer to a review was a denial after all, as nobody
// waited for the decision any more. Where that was recorded as allowed, this is a
// second record with the same [Decision.ID], which is the one that counts.
func (e *Engine) Revoke(ctx context.Context, r *Review, d *Decision, why string) {
	rules := e.Rules()
	if rules.Recorder != nil && r != nil {
		rules.revoke(ctx, r, d, why)
	}
}

func (rules *Rules) revoke(ctx context.Context, r *Review, d *Decision, why string) {
	if !d.Allowed {
		return
	}
	ctx, cancel := deadline.With(context.WithoutCancel(ctx), cmp.Or(rules.Timeout, DefaultTimeout))
	defer cancel()
	denied := *d
	denied.Failures = slices.Clone(d.Failures)
	denied.fail(why)
	_ = rules.tell(ctx, r, &denied) // there is nobody to tell, and the answer is no already
}

// tell calls the recorder; a panic is an error.
func (rules *Rules) tell(ctx context.Context, r *Review, d *Decision) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return rules.Recorder.Record(ctx, r, d)
}
