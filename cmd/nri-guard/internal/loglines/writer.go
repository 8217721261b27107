package loglines

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// maxBytes is how much a Writer holds that has not been read yet: about ten thousand
// lines.
const maxBytes = 1 << 20

// smallBytes is how much memory it keeps for lines to come.
const smallBytes = 64 << 10

// Writer hands lines on to somebody who may be slow, or never read. Write never
// waits; lines for which there is no room are dropped and counted. It is safe for
// concurrent use.
type Writer struct {
	to io.Writer
	// lost makes the line that says how many were dropped.
	lost func(n int) []byte

	mu      sync.Mutex
	more    sync.Cond // there is something to write, or the end has come
	waiting []byte
	dropped int // for want of room
	failed  int // could not be written; to be said with what is written next
	closed  bool
	done    chan struct{} // everything is written
}

// NewWriter returns a writer to w. When there is room again after lines were dropped,
// the line that lost makes of their number stands where they would. It is ended by
// Close.
func NewWriter(w io.Writer, lost func(n int) []byte) *Writer {
	q := &Writer{to: w, lost: lost, done: make(chan struct{})}
	q.more.L = &q.mu
	go q.run()
	return q
}

// Write takes one line, or drops it. It implements [io.Writer]; the error is always
// nil.
func (q *Writer) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case len(line) == 0:
	case q.closed, q.dropped > 0, len(q.waiting)+len(line) > maxBytes:
		q.dropped++ // with one of them all that follow, until that is said
		q.more.Signal()
	default:
		q.waiting = append(q.waiting, line...)
		q.more.Signal()
	}
	return len(line), nil
}

// Close takes nothing any more, and waits until what was taken is written, but no
// longer than patience.
func (q *Writer) Close(patience time.Duration) {
	q.mu.Lock()
	q.closed = true
	q.more.Signal()
	q.mu.Unlock()
	select {
	case <-q.done:
	case <-time.After(patience):
	}
}

// run writes until the end has come and nothing is left.
func (q *Writer) run() {
	defer close(q.done)
	var spare []byte
	for {
		batch := q.next(spare[:0])
		if batch == nil {
			return
		}
		if _, err := q.to.Write(batch); err != nil {
			q.fail(bytes.Count(batch, []byte("\n")))
		}
		if spare = batch; cap(spare) > smallBytes {
			spare = nil
		}
	}
}

// next waits for lines, which it returns with what is to be said of those that were
// lost, and leaves spare for those that follow. Nil is the end.
func (q *Writer) next(spare []byte) []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting)+q.dropped == 0 && !q.closed {
		q.more.Wait()
	}
	batch := q.waiting
	if n := q.dropped + q.failed; n > 0 {
		q.dropped, q.failed = 0, 0
		batch = append(batch, q.lost(n)...)
	}
	if len(batch) == 0 {
		return nil
	}
	q.waiting = spare
	return batch
}

// fail takes note of lines that could not be written. Nobody tries again before there
// are others.
func (q *Writer) fail(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.failed += n
	}
}
