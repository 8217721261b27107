// Package deadline has contexts that end at a time, and that set no timer before
// somebody waits for their end. To set one in a process that was idle takes as long as
// to judge some policies, and most decisions are made before anybody waits.
package deadline

import (
	"context"
	"sync"
	"time"
)

// With returns a context as of [context.WithTimeout].
func With(parent context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	c := &deadline{Context: parent, at: time.Now().Add(timeout)}
	if at, ok := parent.Deadline(); ok && at.Before(c.at) {
		c.at = at
	}
	return c, c.cancel
}

type deadline struct {
	context.Context // the parent
	at              time.Time

	mu       sync.Mutex
	canceled bool
	timed    context.Context // once somebody waits
	stop     context.CancelFunc
}

// Deadline implements [context.Context].
func (c *deadline) Deadline() (time.Time, bool) { return c.at, true }

// Done implements [context.Context].
func (c *deadline) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil && c.canceled {
		c.timed, c.stop = context.WithCancel(c.Context)
		c.stop()
	}
	if c.timed == nil {
		c.timed, c.stop = context.WithDeadline(c.Context, c.at)
	}
	return c.timed.Done()
}

// Err implements [context.Context].
func (c *deadline) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed != nil {
		return c.timed.Err()
	}
	if c.canceled {
		return context.Canceled
	}
	if err := c.Context.Err(); err != nil {
		return err
	}
	if !time.Now().Before(c.at) {
		return context.DeadlineExceeded
	}
	return nil
}

func (c *deadline) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed != nil {
		c.stop()
	}
	c.canceled = true
}
