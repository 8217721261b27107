package proxy

import "context"

// turn is held by a bounded number at a time.
type turn chan struct{}

// take waits for room. It says whether there was any before the context ended or
// those had gone who wanted something.
func (t turn) take(ctx context.Context, gone <-chan struct{}) bool {
	select {
	case t <- struct{}{}:
		return true
	default:
	}
	select {
	case t <- struct{}{}:
		return true
	case <-gone:
	case <-ctx.Done():
	}
	return false
}

func (t turn) release() { <-t }
