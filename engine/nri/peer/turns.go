package peer

import (
	"context"
	"slices"
	"sync"
)

// turns has one at a time compute, and users take turns: however much is waiting
// for the one, the other comes next. Among the processes of one user there is
// nothing to keep apart, as each can do worse to the other. The zero value works.
type turns struct {
	mu    sync.Mutex
	taken bool
	lines []*line // in the order in which they come next
}

// line is what waits for one user.
type line struct {
	uid     int64
	waiting []chan struct{} // closed when it is their turn
}

// wait returns when it is the caller's turn, who must call done, or with an error
// when the context ends before.
func (t *turns) wait(ctx context.Context, uid int64) error {
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
	t.lines[i].waiting = append(t.lines[i].waiting, turn)
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
		j := slices.Index(l.waiting, turn)
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
	close(next.waiting[0])
	if next.waiting = next.waiting[1:]; len(next.waiting) > 0 {
		t.lines = append(t.lines, next)
	}
}
