package proxy

import (
	"context"
	"slices"
	"testing"
	"time"
)

// waits has somebody wait, and returns when they are in line.
func (t *turns) waits(who process, then func()) {
	before := t.length()
	go func() {
		if t.take(context.Background(), nil, who) {
			then()
			t.release()
		}
	}()
	for t.length() == before {
		time.Sleep(time.Millisecond)
	}
}

func (t *turns) length() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting)
}

func TestTurns(t *testing.T) {
	turns := newTurns(1)
	if !turns.take(t.Context(), nil, process{1, 1}) {
		t.Fatal("it is free")
	}
	hog, sibling, other := process{1, 1}, process{2, 1}, process{3, 2}
	var came []process
	line := []process{hog, hog, hog, hog, sibling, sibling, other, other}
	done := make(chan struct{}, len(line))
	for _, who := range line {
		turns.waits(who, func() {
			came = append(came, who) // one at a time
			done <- struct{}{}
		})
	}
	turns.release()
	for range line {
		<-done
	}
	want := []process{other, sibling, other, hog, sibling, hog, hog, hog}
	if !slices.Equal(came, want) {
		t.Errorf("the turns were of %v, want %v", came, want)
	}
}

func TestTurnsThatNobodyTakes(t *testing.T) {
	turns, gone := newTurns(2), make(chan struct{})
	for range 2 {
		if !turns.take(t.Context(), nil, process{}) {
			t.Fatal("it is free")
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if turns.take(ended, gone, process{}) {
		t.Error("it is taken")
	}
	close(gone)
	if turns.take(t.Context(), gone, process{}) {
		t.Error("it is taken")
	}
	if n := turns.length(); n != 0 {
		t.Errorf("%d are waiting still", n)
	}
	w := &waiter{turn: make(chan struct{})}
	turns.leave(w) // whose turn has come as the context ended
	if !turns.take(ended, gone, process{}) {
		t.Error("it is free again, which comes first")
	}
}

func TestTurnsAreForgotten(t *testing.T) {
	turns := newTurns(1)
	for pid := range 3 * manyTurns {
		turns.take(t.Context(), nil, process{pid: pid})
		turns.release()
	}
	if n := len(turns.came); n > manyTurns+2 {
		t.Errorf("%d are remembered", n)
	}
}
