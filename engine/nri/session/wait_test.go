package session

import (
	"errors"
	"testing"
	"time"
)

// TestBackoff: waits grow, differ, and end where a runtime is worth it.
func TestBackoff(t *testing.T) {
	for name, c := range map[string]struct {
		end   *ending
		limit time.Duration
	}{
		"nobody there": {&ending{absent: true}, absentWait},
		"refused":      {&ending{}, longWait},
		"short-lived":  {&ending{lasted: stable / 2}, longWait},
	} {
		t.Run(name, func(t *testing.T) {
			var b backoff
			step := firstWait
			for range 20 {
				if got := b.next(c.end); got < step/2 || got > step {
					t.Fatalf("waits %s, want between %s and %s", got, step/2, step)
				}
				step = min(2*step, c.limit)
			}
			if step != c.limit {
				t.Errorf("it grew to %s only", step)
			}
			if got := b.next(&ending{lasted: stable}); got > firstWait {
				t.Errorf("after a good connection it waits %s", got)
			}
		})
	}
}

// TestBackoffComesDown: as soon as nobody listens any more, that limit holds.
func TestBackoffComesDown(t *testing.T) {
	b := backoff{last: longWait}
	if got := b.next(&ending{absent: true}); got > absentWait {
		t.Errorf("waits %s", got)
	}
}

// TestReminder: a problem is said at once, and then ever more rarely.
func TestReminder(t *testing.T) {
	var r reminder
	now := time.Now()
	var said []time.Duration
	for at := time.Duration(0); at < 5*time.Hour; at += time.Second {
		if r.due("gone", now.Add(at)) {
			said = append(said, at)
		}
	}
	want := []time.Duration{0, time.Minute, 3 * time.Minute, 7 * time.Minute, 15 * time.Minute, 31 * time.Minute, 63 * time.Minute}
	for i, w := range want {
		if i >= len(said) || said[i] != w {
			t.Fatalf("said at %v, want %v and so on", said, want)
		}
	}
	if last := len(said) - 1; said[last]-said[last-1] != lastReminder {
		t.Errorf("said at %v", said)
	}
	if !r.due("something else", now) {
		t.Error("another problem is not said")
	}
	r.reset()
	if !r.due("something else", now) {
		t.Error("a problem that comes back is not said")
	}
}

// TestEnding is an error that wraps.
func TestEnding(t *testing.T) {
	if e := (&ending{err: errClosed}); !errors.Is(e, errClosed) || e.Error() != errClosed.Error() {
		t.Error(e)
	}
}
