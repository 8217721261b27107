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

	groups []group
	// What most of it is made of.
	terms   slab[ast.Term]
	places  slab[*ast.Term]
	structs slab[structured]
}

// New returns the input of a review, of which little is read yet. It has an error where
// the review is none that a border builds, exactly where [document.Append] has one. Only
// one that is shared can be closed, by those who do not wait for the evaluation.
func New(r *engine.Review, shared bool) (*Input, error) {
	c := compiled()
	in := idle.Get().(*Input)
	in.shared = shared
	if err := in.group(c, r.Changes); err != nil {
		return nil, err
	}
	in.root = c.review(in, reflect.ValueOf(r).Elem())
	return in, nil
}

// Ready makes what all inputs have in common. Plans that are made afterwards are quicker.
func Ready() { compiled() }

// idle are inputs that have room.
var idle = sync.Pool{New: func() any {
	return &Input{terms: slab[ast.Term]{size: 128}, places: slab[*ast.Term]{size: 256}, structs: slab[structured]{size: 16}}
}}

// Release is called when nothing of the input is used any more, in place of Close.
func (in *Input) Release() {
	in.root = nil
	clear(in.groups)
	in.groups = in.groups[:0]
	in.terms.reset()
	in.places.reset()
	in.structs.reset()
	idle.Put(in)
}

// compiler is what the shapes of the document were compiled to.
type compiler struct {
	review encode
	fields map[engine.Field]*field
}

var compiled = sync.OnceValue(func() *compiler {
	shape := document.ReviewShape()
	return &compiler{review: object(shape), fields: fields(shape.Field("changes").Shape)}
})

// Term is the document. Looking at it, and at what it holds, reads the review.
func (in *Input) Term() *ast.Term { return in.root }

// Close returns when nobody reads the review, nor will: whoever is still looking at the
// input panics. It may be called at any time.
func (in *Input) Close() {
	in.mu.Lock()
	in.closed = true
	in.mu.Unlock()
}

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
	t := &in.terms.take(1)[0]
	t.Value = v
	return t
}

func (in *Input) string(text string) *ast.Term {
	if text == "" {
		return ast.InternedEmptyString
	}
	return in.term(ast.String(document.Valid(text)))
}
