package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// waits has somebody wait, and returns when they are in line.
func (t *turns) waits(ctx context.Context, uid, pid int64, then func(error)) {
	count := func() (n int) {
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, l := range t.lines {
			n += len(l.waiting)
		}
		return n
	}
	before := count()
	go func() { then(t.wait(ctx, uid, pid)) }()
	for count() == before {
		time.Sleep(time.Millisecond)
	}
}

// TestTurns: users take turns, and so do their processes, however much one of them
// wants.
func TestTurns(t *testing.T) {
	var turn turns
	if err := turn.wait(t.Context(), 7, 1); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var order []string
	for i, who := range [][2]int64{{7, 1}, {7, 1}, {7, 1}, {0, 2}, {8, 3}, {7, 4}, {0, 2}, {7, 4}} {
		all.Add(1)
		turn.waits(t.Context(), who[0], who[1], func(err error) {
			defer all.Done()
			order = append(order, fmt.Sprint(who[0], "/", who[1], "/", i)) // one at a time
			if err != nil {
				t.Error(err)
			}
			turn.done()
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	turn.waits(ctx, 9, 5, func(err error) { gone <- err })
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("who does not wait any more: %v", err)
	}
	turn.done()
	all.Wait()
	if want := []string{"7/1/0", "0/2/3", "8/3/4", "7/4/5", "0/2/6", "7/1/1", "7/4/7", "7/1/2"}; !slices.Equal(order, want) {
		t.Errorf("came %q, want %q", order, want)
	}
	if turn.taken || len(turn.lines) != 0 {
		t.Error("something is kept")
	}
}

// TestTurnsThatNobodyTakes: who gives up in the moment when it is their turn has the
// next one come.
func TestTurnsThatNobodyTakes(t *testing.T) {
	for range 200 {
		var turn turns
		_ = turn.wait(t.Context(), 0, 1) // it is free
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error)
		turn.waits(ctx, 0, 1, func(err error) { result <- err })
		go cancel()
		turn.done()
		if <-result == nil {
			turn.done()
		}
		if err := turn.wait(t.Context(), 0, 1); err != nil {
			t.Fatal(err)
		}
	}
}
