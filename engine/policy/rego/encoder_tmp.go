package rego

import (
	"bytes"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/document"
)

type encoder struct{ effective bool }

func newEncoder(paths [][]string) *encoder {
	e := &encoder{}
	for _, p := range paths {
		e.effective = e.effective || len(p) == 0 || p[0] == "effective"
	}
	return e
}

func (e *encoder) encode(r *engine.Review) ast.Value {
	b, err := document.Marshal(r, document.Options{Effective: e.effective})
	if err != nil {
		panic(err)
	}
	v, err := ast.ValueFromReader(bytes.NewReader(b))
	if err != nil {
		panic(err)
	}
	return v
}
