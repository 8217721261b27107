package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"

	"github.com/nri-guard/nri-guard/engine"
)

// ErrClosed is returned for a decision that is recorded after [Log.Close].
var ErrClosed = errors.New("decision log: closed")

// Log writes decisions. It is safe for concurrent use; it implements
// [engine.Recorder].
type Log struct {
	config Config

	mu     sync.Mutex
	out    output
	closed bool
}

// output takes one line, newline included, at a time.
type output interface {
	write(line []byte) error
	close() error
}

// New returns a log that writes to the file of the configuration, which it opens,
// so that a log that cannot be written is found at the start. No other process,
// and no other log, should write to the same file.
func New(c Config) (*Log, error) {
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("decision log: %w", err)
	}
	if !filepath.IsAbs(c.Path) {
		return nil, fmt.Errorf("decision log: path %q names no file", c.Path)
	}
	f, err := openFile(c)
	if err != nil {
		return nil, err
	}
	return &Log{config: c, out: f}, nil
}

// NewWriter returns a log that writes to w, each decision with one call of Write.
// Of the configuration it uses the labels and what is to be unmasked. Closing the
// log leaves w open.
func NewWriter(w io.Writer, c Config) (*Log, error) {
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("decision log: %w", err)
	}
	return &Log{config: c, out: &lines{to: w}}, nil
}

// Close closes the file. Decisions that are recorded afterwards are errors.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	return l.out.close()
}

// Record writes a decision. It implements [engine.Recorder].
func (l *Log) Record(_ context.Context, r *engine.Review, d *engine.Decision) error {
	line, err := l.config.line(r, d)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	return l.out.write(line)
}
