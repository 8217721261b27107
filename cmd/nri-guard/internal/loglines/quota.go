package loglines

import (
	"slices"
	"sync"
	"time"
)

const (
	// Lines is how many lines about one thing a [Quota] lets through in a time.
	Lines = 20
	// Window is that time.
	Window = time.Minute
	// maxThings is how many things are told apart: who may choose a name chooses many.
	// What there is beside them counts as one.
	maxThings = 64
	// others are those.
	others = "(others)"
)

// Quota bounds how many lines there are about each thing: [Lines] in each [Window]. It
// is safe for concurrent use.
type Quota struct {
	// more is told how many followed about a thing, when its window ends.
	more func(about string, n int)

	mu     sync.Mutex
	things map[string]*thing
}

// thing is what is being written about.
type thing struct {
	lines int
	timer *time.Timer
}

// NewQuota returns a quota. More is called when a window ends in which lines were left
// out, with their number.
func NewQuota(more func(about string, n int)) *Quota {
	return &Quota{more: more, things: map[string]*thing{}}
}

// Take says whether there may be another line about something.
func (q *Quota) Take(about string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.things[about]
	if t == nil && len(q.things) >= maxThings {
		about = others
		t = q.things[about]
	}
	if t == nil {
		t = &thing{timer: time.AfterFunc(Window, func() { q.end(about) })}
		q.things[about] = t
	}
	t.lines++
	return t.lines <= Lines
}

// end ends a window; the next begins with the next line.
func (q *Quota) end(about string) {
	q.mu.Lock()
	t := q.things[about]
	delete(q.things, about)
	q.mu.Unlock()
	if t != nil && t.lines > Lines {
		q.more(about, t.lines-Lines)
	}
}

// Close ends all windows.
func (q *Quota) Close() {
	q.mu.Lock()
	var left []string
	for about, t := range q.things {
		t.timer.Stop()
		left = append(left, about)
	}
	q.mu.Unlock()
	slices.Sort(left)
	for _, about := range left {
		q.end(about)
	}
}
