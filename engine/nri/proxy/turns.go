package proxy

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// turns has a bounded number at a time do what takes its time. Users take turns, and so
// do the processes of a user: however many of one are waiting, others come in between.
type turns struct {
	mu      sync.Mutex
	free    int
	waiting []*waiter // in the order in which they came
	// came is when a user's and a process' turn came last, by a count of all.
	came  map[any]int
	count int
}

// waiter waits for a process.
type waiter struct {
	process
	turn chan struct{} // closed when it has come
}

// manyTurns is how many users and processes are remembered.
const manyTurns = 1024

func newTurns(n int) *turns { return &turns{free: n, came: map[any]int{}} }

// take waits for a turn. It says whether it came before the context ended or those had
// gone who wanted something.
func (t *turns) take(ctx context.Context, gone <-chan struct{}, who process) bool {
	w := &waiter{process: who, turn: make(chan struct{})}
	t.mu.Lock()
	t.waiting = append(t.waiting, w)
	t.next()
	t.mu.Unlock()
	select {
	case <-w.turn:
		return true
	default:
	}
	select {
	case <-w.turn:
		return true
	case <-gone:
	case <-ctx.Done():
	}
	t.leave(w)
	return false
}

// leave gives a place up, or the turn that has come meanwhile.
func (t *turns) leave(w *waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.waiting, w); i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
		return
	}
	t.free++
	t.next()
}

func (t *turns) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free++
	t.next()
}

// next has those come whose turn it is.
func (t *turns) next() {
	for ; t.free > 0 && len(t.waiting) > 0; t.free-- {
		w := slices.MinFunc(t.waiting, func(a, b *waiter) int {
			return cmp.Or(cmp.Compare(t.came[userOf(a.uid)], t.came[userOf(b.uid)]), cmp.Compare(t.came[a.process], t.came[b.process]))
		})
		t.waiting = slices.DeleteFunc(t.waiting, func(o *waiter) bool { return o == w })
		if len(t.came) > manyTurns {
			clear(t.came)
		}
		t.count++
		t.came[userOf(w.uid)], t.came[w.process] = t.count, t.count
		close(w.turn)
	}
}
