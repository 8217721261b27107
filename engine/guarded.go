package engine

import "context"

// Unguard returns a context for those who see to it themselves that they answer in time.
// Decisions are then made by the goroutine that asks for them: policies and the recorder
// should keep to the deadline, but nobody goes on without one that does not. To have
// others do the work, and to wait for them, costs as much as to judge many policies.
func Unguard(ctx context.Context) context.Context {
	return context.WithValue(ctx, unguarded{}, true)
}

// Unguarded says whether a context comes from [Unguard].
func Unguarded(ctx context.Context) bool { return ctx.Value(unguarded{}) != nil }

type unguarded struct{}
