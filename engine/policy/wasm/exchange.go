package wasm

import (
	"context"
	"fmt"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy/internal/panics"
)

// exchange is one question to one policy, and what comes of it.
type exchange struct {
	asked
	review  *engine.Review
	request []byte

	violations []engine.Violation
	fuel       uint64
	err        error
}

// run asks an instance. Unless all went well the instance is thrown away: nobody
// knows what it would answer next.
func (x *exchange) run(ctx context.Context) {
	in, err := x.pool.take(ctx)
	if err != nil {
		x.err = err
		return
	}
	x.ask(ctx, in)
	x.fuel = in.burnt()
	in.calls++
	in.printed.emit(ctx, x.config.Name, x.review)
	in.end()
	x.pool.put(in, x.err == nil && !in.worn())
}

// ask has the instance answer. A panic is a failure like others.
func (x *exchange) ask(ctx context.Context, in *instance) {
	defer func() {
		if cause := recover(); cause != nil {
			x.violations, x.err = nil, panics.Error(cause)
		}
	}()
	in.begin(ctx, x.config.Fuel)
	if x.abi == abiNRI {
		x.err = x.askNRI(in)
	} else {
		x.err = x.askCommand(in)
	}
	if x.err != nil {
		x.violations, x.err = nil, in.named(x.err, "fuel")
	}
}

// runWithin is run for the interpreter, which takes too long to be waited for. The
// instance is busy until it ends, which fuel makes it do.
func (x *exchange) runWithin(ctx context.Context) error {
	done := make(chan exchange, 1)
	other := *x
	go func() {
		other.run(ctx)
		done <- other
	}()
	select {
	case *x = <-done:
		return nil
	case <-ctx.Done():
		return errLate
	}
}

// maxMessage is how long a violation's message is, in bytes: the answer as a whole may
// be longer, and its messages are told to people, runtimes and logs.
const maxMessage = 4096

// object records a violation. A message that is too long objects as well as another.
func (x *exchange) object(message, change string) {
	message = shortened(message, maxMessage)
	x.violations = append(x.violations, engine.Violation{Policy: x.config.Name, Message: message, Change: change, Enforcement: x.enforcement})
}

// askNRI asks in NRI's way.
func (x *exchange) askNRI(in *instance) error {
	return in.exchange(in.validate, x.request, func(answer []byte) error {
		reject, reason, err := readResponse(answer)
		if err != nil {
			return fmt.Errorf("its answer is no ValidateContainerAdjustmentResponse: %w", err)
		}
		if reject {
			if reason == "" {
				reason = "rejected, for no reason that it gives"
			}
			x.object(reason, "")
		}
		return nil
	})
}

// askCommand runs a command.
func (x *exchange) askCommand(in *instance) error {
	in.input = x.request
	if err := in.run(in.start); err != nil {
		return err
	}
	violations, err := readViolations(in.output)
	if err != nil {
		return fmt.Errorf("its answer is not as it must be: %w", err)
	}
	for _, v := range violations {
		if len(v.Change) > maxMessage && x.review.Change(v.Change) == nil {
			return fmt.Errorf("it objects to a change %.100q... that is not in the review", v.Change)
		}
		x.object(v.Message, v.Change)
	}
	return nil
}
