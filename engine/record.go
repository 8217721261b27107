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
func (rules *Rules) tellInTime(ctx context.Context, r *Review, d *Decision) (err error) {
	const late, tooLate = "it was not written in time: %w", "the decision could not be recorded in time"
	written := *d // the recorder may be reading it still when it is given up
	if Unguarded(ctx) {
		if err = rules.tell(ctx, r, &written); err == nil && ctx.Err() != nil && !rules.RecordBestEffort {
			rules.revoke(ctx, r, &written, tooLate)
			err = fmt.Errorf(late, context.Cause(ctx))
		}
		return err
	}
	done := make(chan error, 1)
	var settled atomic.Bool // whether it was written in time or not
	go func() {
		err := rules.tell(ctx, r, &written)
		switch {
		case settled.CompareAndSwap(false, true):
			done <- err
		case err == nil && !rules.RecordBestEffort:
			rules.revoke(ctx, r, &written, tooLate)
		}
	}()
	select {
	case err = <-done:
		return err
	case <-ctx.Done():
	}
	if !settled.CompareAndSwap(false, true) {
		return <-done
	}
	return fmt.Errorf(late, context.Cause(ctx))
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
