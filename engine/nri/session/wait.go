package session

import (
	"math/rand/v2"
	"time"
)

// ending is why a connection came to an end, or to nothing.
type ending struct {
	err error
	// absent is set when nobody listened.
	absent bool
	// lasted is for how long the plugin was registered.
	lasted time.Duration
}

func (e *ending) Error() string { return e.err.Error() }

func (e *ending) Unwrap() error { return e.err }

// How long to wait before trying again. A guard that is not connected may let
// everything pass, so that no wait is long. To look for a socket costs nothing;
// a runtime that refuses writes to its log each time.
const (
	firstWait  = 50 * time.Millisecond
	absentWait = time.Second
	longWait   = 5 * time.Second
	// stable is how long a connection must have lasted for all to be well again.
	stable = 10 * time.Second
)

// backoff doubles the wait each time. The zero value begins with the first.
type backoff struct{ last time.Duration }

// next returns how long to wait after an ending: between half and the whole of
// the current step, so that the guard's connections do not come all at once.
func (b *backoff) next(e *ending) time.Duration {
	if e.lasted >= stable {
		b.last = 0
	}
	limit := longWait
	if e.absent {
		limit = absentWait
	}
	b.last = min(max(2*b.last, firstWait), limit)
	return b.last/2 + rand.N(b.last/2+1)
}

// A problem is repeated in the log a minute after it was first said, then after
// twice as long each time, up to an hour.
const (
	firstReminder = time.Minute
	lastReminder  = time.Hour
)

// reminder says what is to be logged of a problem that stays. The zero value has
// said nothing.
type reminder struct {
	problem string
	next    time.Time
	pause   time.Duration
}

func (r *reminder) due(problem string, now time.Time) bool {
	switch {
	case problem != r.problem:
		r.problem, r.pause = problem, firstReminder
	case now.Before(r.next):
		return false
	default:
		r.pause = min(2*r.pause, lastReminder)
	}
	r.next = now.Add(r.pause)
	return true
}

// reset has the next problem be said at once.
func (r *reminder) reset() { *r = reminder{} }
