package rego

import (
	"reflect"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/document"
)

// scratch is what one run of an encoder works with.
type scratch struct {
	// pairs is a stack: what objects that are under construction hold so far.
	pairs [][2]*ast.Term
	// terms are taken from a slab, an allocation for many.
	terms []ast.Term
	// strings and plugins remember what was made last, by slot.
	strings []remembered
	plugins [][]rememberedPlugin
}

type remembered struct {
	text string
	term *ast.Term
}

type rememberedPlugin struct {
	plugin engine.Plugin
	term   *ast.Term
}

// slab is how many terms are allocated at a time.
const slab = 64

// reset forgets everything, so that nothing of a review outlives it.
func (s *scratch) reset() {
	clear(s.pairs[:cap(s.pairs)])
	s.pairs, s.terms = s.pairs[:0], nil
	clear(s.strings)
	for i := range s.plugins {
		clear(s.plugins[i])
		s.plugins[i] = s.plugins[i][:0]
	}
}

// plugin returns what was made of a plugin, or else makes it.
func (s *scratch) plugin(slot int, v reflect.Value, make func() *ast.Term) *ast.Term {
	p := v.Addr().Interface().(*engine.Plugin)
	for _, known := range s.plugins[slot] {
		if known.plugin == *p {
			return known.term
		}
	}
	t := make()
	s.plugins[slot] = append(s.plugins[slot], rememberedPlugin{*p, t})
	return t
}

func (s *scratch) term(v ast.Value) *ast.Term {
	if len(s.terms) == 0 {
		s.terms = make([]ast.Term, slab)
	}
	t := &s.terms[0]
	s.terms = s.terms[1:]
	t.Value = v
	return t
}

func (s *scratch) string(text string) *ast.Term {
	if text == "" {
		return ast.InternedEmptyString
	}
	return s.term(ast.String(document.Valid(text)))
}

// object makes an object of the pairs from start on, and takes them off the stack.
func (s *scratch) object(start int) *ast.Term {
	if start == len(s.pairs) {
		return ast.InternedEmptyObject
	}
	t := s.term(ast.NewObject(s.pairs[start:]...))
	s.pairs = s.pairs[:start]
	return t
}
