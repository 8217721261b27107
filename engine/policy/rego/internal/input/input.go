// Package input makes values of OPA's of a review, without JSON in between.
//
//	engine.Review -> Input -> plan.Part
//
// What the document looks like is the business of package document, whose shapes are
// compiled here, once, to functions that make terms of Go values. Objects and lists are
// parts: what policies do not look at is never made.
package input

import (
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/document"
)

// Input is what is made of one review while policies look at it. It is for one
// evaluation after the other.
type Input struct {
	root *ast.Term

	shared bool
	mu     sync.Mutex // of a shared one
	closed bool
	// Terms and places are taken from slabs, an allocation for many.
	terms []ast.Term
	free  []*ast.Term
}

// New returns the input of a review, of which little is read yet. It has an error where
// the review is none that a border builds, exactly where [document.Append] has one. Only
// one that is shared can be closed, by those who do not wait for the evaluation.
func New(r *engine.Review, shared bool) (*Input, error) {
	c := compiled()
	if err := c.fit(r.Changes); err != nil {
		return nil, err
	}
	in := &Input{shared: shared}
	in.root = c.review(in, reflect.ValueOf(r).Elem())
	return in, nil
}

// Ready makes what all inputs have in common. Plans that are made afterwards are quicker.
func Ready() { compiled() }

// compiler is what the shapes of the document were compiled to.
type compiler struct {
	review encode
	boxes  map[engine.Field]boxes
}

// boxes are what could hold anything in a change of a field: its value, and the old one.
type boxes struct {
	fields []*document.Field
	// plain is the Go type of a value, and pointer one to it: most are either.
	plain, pointer reflect.Type
}

var compiled = sync.OnceValue(func() *compiler {
	shape := document.ReviewShape()
	c := &compiler{review: object(shape), boxes: map[engine.Field]boxes{}}
	for _, f := range shape.Field("changes").Shape.Fields {
		var b boxes
		change := f.Shape.Elem
		for i := range change.Fields {
			if change.Fields[i].Boxed() {
				b.fields = append(b.fields, &change.Fields[i])
			}
		}
		if value := change.Field("value").Shape; value.Kind != document.Scalar {
			b.plain, b.pointer = value.Type, reflect.PointerTo(value.Type)
		}
		c.boxes[engine.Field(f.Name)] = b
	}
	return c
})

// fit says what is wrong with changes whose field does not exist, or whose value is of
// another type than the field's.
func (c *compiler) fit(changes []*engine.Change) error {
	var field engine.Field
	var b boxes
	known := false
	for _, x := range changes { // sorted by field
		if !known || x.Field != field {
			field = x.Field
			b, known = c.boxes[field]
		}
		if !known {
			return fmt.Errorf("change %q is of field %q, which does not exist", engine.Brief(x.ID, 256), x.Field)
		}
		if b.usual(x.Value) && b.usual(x.Old) {
			continue
		}
		v := reflect.ValueOf(x).Elem()
		for _, f := range b.fields {
			if value, presence := f.Of(v); presence == document.Present && !f.Shape.Fits(value) {
				return fmt.Errorf("change %q: %s is of type %s", engine.Brief(x.ID, 256), f.Name, value.Type())
			}
		}
	}
	return nil
}

// usual says whether a value is certain to be of the field's type.
func (b *boxes) usual(v any) bool {
	t := reflect.TypeOf(v)
	return t == nil || t == b.plain || t == b.pointer
}

// Term is the document. Looking at it, and at what it holds, reads the review.
func (in *Input) Term() *ast.Term { return in.root }

// Close returns when nobody reads the review, nor will: whoever is still looking at the
// input panics. It may be called at any time.
func (in *Input) Close() {
	in.mu.Lock()
	in.closed = true
	in.mu.Unlock()
}

const (
	termsSlab  = 48
	placesSlab = 128
)

var errClosed = errors.New("nobody waits for an answer any more")

// enter begins to read the review, and panics where that may not be read any more.
func (in *Input) enter() {
	if !in.shared {
		return
	}
	in.mu.Lock()
	if in.closed {
		in.mu.Unlock()
		panic(errClosed)
	}
}

func (in *Input) leave() {
	if in.shared {
		in.mu.Unlock()
	}
}

func (in *Input) term(v ast.Value) *ast.Term {
	if len(in.terms) == 0 {
		in.terms = make([]ast.Term, termsSlab)
	}
	t := &in.terms[0]
	in.terms = in.terms[1:]
	t.Value = v
	return t
}

// places returns room for n elements.
func (in *Input) places(n int) []*ast.Term {
	if n > len(in.free) {
		if n > placesSlab/4 {
			return make([]*ast.Term, n)
		}
		in.free = make([]*ast.Term, placesSlab)
	}
	p := in.free[:n:n]
	in.free = in.free[n:]
	return p
}

func (in *Input) string(text string) *ast.Term {
	if text == "" {
		return ast.InternedEmptyString
	}
	return in.term(ast.String(document.Valid(text)))
}
