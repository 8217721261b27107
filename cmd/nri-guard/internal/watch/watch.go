// Package watch tells when files are not any more what they were when they were read.
//
// It watches directories, not files, because files are replaced more often than
// written: editors rename a new one into place, and Kubernetes swaps a symbolic link
// that leads to all files of a ConfigMap at once. So every directory is watched that
// holds a file, or a symbolic link on the way to it. An event is only a hint to look;
// what counts is a [Stamp], so that what happens beside the files is of no concern,
// and nothing that happens between reading and watching is missed.
package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Nothing must happen for as long as quiet before files are looked at: a change of
// several files is one, and a file that is being written is not read half. Where
// something happens all the time, they are looked at after patience.
const (
	quiet    = 200 * time.Millisecond
	patience = 2 * time.Second
)

// Watcher watches files, from [New] until the end of Run.
type Watcher struct {
	notify *fsnotify.Watcher
	stamps chan *Stamp
}

// New returns a watcher that watches nothing yet.
func New() (*Watcher, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching files: %w", err)
	}
	return &Watcher{notify: n, stamps: make(chan *Stamp, 1)}, nil
}

// Set says which files to watch from now on, and how they were when they were read.
// It belongs to one goroutine.
func (w *Watcher) Set(s *Stamp) {
	select {
	case <-w.stamps: // nobody has looked at it, nobody will
	default:
	}
	w.stamps <- s
}

// Run calls changed when files differ from the last stamp, and once more for each
// change after that, until ctx ends. It calls failed with what keeps it from
// watching, such as a limit of the system; changes may go unnoticed then.
func (w *Watcher) Run(ctx context.Context, changed func(), failed func(error)) {
	defer w.notify.Close() //nolint:errcheck // nothing is watched any more
	timer := time.NewTimer(0)
	defer timer.Stop()
	known := &Stamp{}
	var first time.Time // of the events that have not been looked into
	hint := func() {
		if first.IsZero() {
			first = time.Now()
		}
		timer.Reset(min(quiet, time.Until(first.Add(patience))))
	}
	for {
		select {
		case <-ctx.Done():
			return
		case known = <-w.stamps:
			timer.Reset(0)
		case <-w.notify.Events:
			hint()
		case err := <-w.notify.Errors: // among them a queue that ran over
			failed(err)
			hint()
		case <-timer.C:
			first = time.Time{}
			now, err := w.look(known)
			if err != nil {
				failed(err)
			}
			if !now.equal(known) {
				known = now
				changed()
			}
		}
	}
}

// look watches the files of a stamp and says how they are now.
func (w *Watcher) look(known *Stamp) (*Stamp, error) {
	watched := map[string]bool{}
	for _, dir := range w.notify.WatchList() {
		watched[dir] = true
	}
	now, err := known.again(), error(nil)
	// What is found while looking may lead to further directories; what is watched
	// before it is looked at cannot change unnoticed.
	for more := true; more; now = known.again() {
		more = false
		for dir := range now.dirs {
			if watched[dir] {
				continue
			}
			watched[dir], more = true, true
			if e := w.notify.Add(dir); e != nil && !errors.Is(e, fs.ErrNotExist) {
				err = fmt.Errorf("watching %s: %w", dir, e)
			}
		}
	}
	for dir := range watched {
		if !now.dirs[dir] {
			_ = w.notify.Remove(dir) // it may have gone
		}
	}
	return now, err
}
