package engine

import "context"

// Unwatch returns a context for those who see to it themselves that they answer in time.
// Decisions are then made by the goroutine that asks for them, and nobody within watches
// the time: policies and the recorder should keep to the deadline, but nobody goes on
// without one that does not. To have others do the work, and to wait for them, costs as
// much as to judge many policies.
func Unwatch(ctx context.Context) context.Context {
	return context.WithValue(ctx, unwatched{}, true)
}

// Unwatched says whether a context comes from [Unwatch].
func Unwatched(ctx context.Context) bool { return ctx.Value(unwatched{}) != nil }

type unwatched struct{}
