package wasm

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Why a call into a module did not return.
var (
	errNoFuel     = errors.New("it ran out of fuel")
	errTooDeep    = errors.New("its calls are nested too deeply")
	errLongAnswer = errors.New("its answer is too long")
	errLate       = errors.New("it had no answer in time")
	errBusy       = errors.New("all its instances were busy until the deadline; the configuration may allow more (instances)")
	errLogRequest = errors.New("it logged what is no LogRequest of NRI, of at most 65536 bytes")
)

// exitError ends a call when the module wants to end.
type exitError struct{ code uint32 }

func (e *exitError) Error() string { return fmt.Sprintf("it ended with exit code %d", e.code) }

// trapped tells the reasons apart for which a call ended. The counters are out of
// the module's reach, so that they are to be believed, before what the error says.
func (in *instance) trapped(err error) error {
	var exit *exitError
	switch {
	case int64(in.fuel.Get()) < 0:
		return errNoFuel
	case uint32(in.depth.Get()) > in.module.metered.StackBytes:
		return errTooDeep
	case in.ctx.Err() != nil && in.module.box.interpreted:
		return errLate
	case errors.As(err, &exit):
		return exit
	case errors.Is(err, errLongAnswer):
		return errLongAnswer
	case errors.Is(err, errLogRequest):
		return errLogRequest
	}
	return fmt.Errorf("it trapped: %s%s", firstLine(err), in.memoryHint())
}

// memoryHint says that memory is scarce: modules trap when they get no more.
func (in *instance) memoryHint() string {
	used, most := in.memory.Size()/pageSize, in.module.config.MemoryPages
	if used*2 < most {
		return ""
	}
	return fmt.Sprintf(" (it has %d of the %d pages of memory that memoryPages allows)", used, most)
}

// named adds to an error the bound that it is about, and the bound's key in the
// configuration.
func (in *instance) named(err error, fuelKey string) error {
	c := &in.module.config
	var exit *exitError
	switch {
	case errors.Is(err, errNoFuel) && in.budget >= MaxFuel:
		return fmt.Errorf("%w: it burnt the %d that %s allows, and no more can be set", err, in.budget, fuelKey)
	case errors.Is(err, errNoFuel):
		return fmt.Errorf("%w: it burnt the %d that %s allows; if it needs more, set %[3]s, up to %d", err, in.budget, fuelKey, MaxFuel)
	case errors.Is(err, errTooDeep):
		return fmt.Errorf("%w: they need more than the %d bytes of stack that limits.stackBytes allows", err, in.module.metered.StackBytes)
	case errors.Is(err, errLongAnswer):
		return fmt.Errorf("%w: it has more than the %d bytes that answerBytes allows", err, c.AnswerBytes)
	case errors.As(err, &exit):
		return fmt.Errorf("%w%s", err, in.memoryHint())
	}
	return err
}

// firstLine is what wazero says, without the stack.
func firstLine(err error) string {
	if err == nil {
		return "no reason is known"
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	line = strings.TrimPrefix(line, "wasm error: ")
	return clean(strings.TrimSuffix(line, " (recovered by wazero)"), maxLine)
}

// bare is a context without values: wazero finds experimental settings in those.
type bare struct{ context.Context }

// Value implements [context.Context].
func (bare) Value(any) any { return nil }
