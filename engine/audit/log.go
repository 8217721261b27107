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
	form form
	sink *sink
}

// sink is where lines go; several logs can share one.
type sink struct {
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
	form, err := newForm(c)
	if err != nil {
		return nil, err
	}
	if !filepath.IsAbs(c.Path) {
		return nil, fmt.Errorf("decision log: path %q names no file", c.Path)
	}
	f, err := openFile(c)
	if err != nil {
		return nil, err
	}
	return &Log{form: form, sink: &sink{out: f}}, nil
}

// NewWriter returns a log that writes to w, each decision with one call of Write. What w
// is given is written over afterwards.
// Of the configuration it uses the labels and what is to be unmasked. Closing the
// log leaves w open.
func NewWriter(w io.Writer, c Config) (*Log, error) {
	form, err := newForm(c)
	if err != nil {
		return nil, err
	}
	return &Log{form: form, sink: &sink{out: &lines{to: w}}}, nil
}

// With returns a log that writes to the same place with the labels of c, and with what
// c unmasks. The two are closed together; the rest of c has no effect.
func (l *Log) With(c Config) (*Log, error) {
	form, err := newForm(c)
	if err != nil {
		return nil, err
	}
	return &Log{form: form, sink: l.sink}, nil
}

// Close closes the file. Decisions that are recorded afterwards are errors.
func (l *Log) Close() error {
	l.sink.mu.Lock()
	defer l.sink.mu.Unlock()
	if l.sink.closed {
		return nil
	}
	l.sink.closed = true
	return l.sink.out.close()
}

// Record writes a decision. It implements [engine.Recorder]. One whose line would have
// more than 4 MiB is an error, and written in outline, as the denial that follows.
func (l *Log) Record(_ context.Context, r *engine.Review, d *engine.Decision) error {
	line := spare.Get().(*line)
	defer line.release()
	err := l.form.line(line, r, d)
	if errors.Is(err, errTooLong) {
		if short := l.form.outline(line, r, d); short == nil {
			err = errors.Join(err, l.sink.write(line.buf))
		}
	}
	if err != nil {
		return err
	}
	return l.sink.write(line.buf)
}

func (s *sink) write(line []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	return s.out.write(line)
}
