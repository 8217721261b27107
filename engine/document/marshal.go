package document

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync"

	"github.com/nri-guard/nri-guard/engine"
)

// Options says what [Append] writes. The zero value writes everything as it is,
// without the effective container.
type Options struct {
	// Mask replaces the values of environment variables, the container's and those
	// of hooks, by "***".
	Mask bool
	// Unmask holds patterns, as of [path.Match], for names of variables that stay
	// readable all the same.
	Unmask []string
	// Effective adds the container with the changes applied.
	Effective bool
	// Most is how many bytes there may be, more or less; 0 is any number.
	Most int
}

// ErrTooLong says that a document would be longer than [Options.Most].
var ErrTooLong = errors.New("it is too long")

// Marshal writes a review as a JSON document, as [Append] does.
func Marshal(r *engine.Review, o Options) ([]byte, error) {
	return Append(make([]byte, 0, 16<<10), r, o)
}

// Append appends a review to buf as a JSON document. Two calls for the same review
// give the same bytes. It fails only for reviews that no border builds: a change of a
// field that does not exist, or one whose value is of another Go type than the
// field's, and with [ErrTooLong]; what was appended by then is not returned.
func Append(buf []byte, r *engine.Review, o Options) ([]byte, error) {
	w := newWriter(len(buf), o)
	buf = compiled().review(w, buf, reflect.ValueOf(r).Elem())
	if w.stop(buf) {
		return nil, fmt.Errorf("review document: %w", w.err)
	}
	return buf, nil
}

// AppendChange appends a single change as it stands in the document of a review.
// It fails where [Append] does.
func AppendChange(buf []byte, c *engine.Change, o Options) ([]byte, error) {
	g := compiled().groups[c.Field]
	if g == nil {
		return nil, fmt.Errorf("review document: change %q is of field %q, which does not exist", c.ID, c.Field)
	}
	w := newWriter(len(buf), o)
	if buf = g.change(w, buf, c); w.stop(buf) {
		return nil, fmt.Errorf("review document: change %q: %w", c.ID, w.err)
	}
	return buf, nil
}

// writers are the shapes, compiled to functions.
type writers struct {
	review write
	groups map[engine.Field]*group
}

var compiled = sync.OnceValue(func() *writers {
	c := &writers{groups: make(map[engine.Field]*group)}
	c.review = c.compile(ReviewShape())
	return c
})

// writer is what the functions are told of the document that they append to. Writing
// JSON here rather than by encoding/json keeps the shape the only authority on what
// the document looks like.
type writer struct {
	limit     int // of what the buffer may hold
	err       error
	mask      mask
	hidden    bool // the values of the change that is being written are masked
	effective bool
	plugins   [4]written // last, in turn
	next      int        // of plugins to be replaced
}

// newWriter returns a writer to a buffer that holds so many bytes already.
func newWriter(begun int, o Options) *writer {
	w := &writer{limit: math.MaxInt, mask: mask{on: o.Mask, unmask: o.Unmask}, effective: o.Effective}
	if o.Most > 0 {
		w.limit = begun + o.Most
	}
	return w
}

// stop says whether to write on is of no use.
func (w *writer) stop(buf []byte) bool {
	if len(buf) > w.limit {
		w.fail(ErrTooLong)
	}
	return w.err != nil
}

// fail keeps the first error.
func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}
