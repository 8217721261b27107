package peer

import (
	"context"
	"slices"
	"sync"
)

// turns has one at a time compute. Users take turns, and so do the processes of a
// user: however much is waiting for the one, the other comes next. The zero value
// works.
type turns struct {
	mu    sync.Mutex
	taken bool
	lines []*line // in the order in which they come next
}

// line is what waits for one user.
type line struct {
	uid     int64
	waiting []waiter
}

// waiter waits for a process.
type waiter struct {
	pid  int64
	rank int           // how many were waiting for the process before
	turn chan struct{} // closed when it has come
}

// join takes a process' place behind all who come first.
func (l *line) join(pid int64, turn chan struct{}) {
	w := waiter{pid: pid, turn: turn}
	for _, o := range l.waiting {
		if o.pid == pid {
			w.rank = o.rank + 1
		}
	}
	i := slices.IndexFunc(l.waiting, func(o waiter) bool { return o.rank > w.rank })
	if i < 0 {
		i = len(l.waiting)
	}
	l.waiting = slices.Insert(l.waiting, i, w)
}

// wait returns when it is the caller's turn, who must call done, or with an error
// when the context ends before.
func (t *turns) wait(ctx context.Context, uid, pid int64) error {
	t.mu.Lock()
	if !t.taken {
		t.taken = true
		t.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	i := slices.IndexFunc(t.lines, func(l *line) bool { return l.uid == uid })
	if i < 0 {
		i = len(t.lines)
		t.lines = append(t.lines, &line{uid: uid})
	}
	t.lines[i].join(pid, turn)
	t.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	if !t.leave(turn) {
		t.done() // it has become the caller's turn meanwhile
	}
	return ctx.Err()
}

// leave gives a place up, and says whether there was one still.
func (t *turns) leave(turn chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, l := range t.lines {
		j := slices.IndexFunc(l.waiting, func(w waiter) bool { return w.turn == turn })
		if j < 0 {
			continue
		}
		if l.waiting = slices.Delete(l.waiting, j, j+1); len(l.waiting) == 0 {
			t.lines = slices.Delete(t.lines, i, i+1)
		}
		return true
	}
	return false
}

// done has the next one come.
func (t *turns) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == 0 {
		t.taken = false
		return
	}
	next := t.lines[0]
	t.lines = t.lines[1:]
	close(next.waiting[0].turn)
	if next.waiting = next.waiting[1:]; len(next.waiting) > 0 {
		t.lines = append(t.lines, next)
	}
}
