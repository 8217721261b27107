package rego

import (
	"encoding/json"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine/document"
)

// compile compiles the modules that are no tests, against the schema of the review
// document. The compiler is of no use where there are problems; it is nil where
// it could not even try.
func compile(modules []*module, data ast.Object, p *problems) *ast.Compiler {
	c, err := newCompiler(data, false)
	if err != nil {
		p.add("policies", 0, "%v", err)
		return nil
	}
	if c.Compile(parsed(modules, false)); c.Failed() {
		p.ast("policies", c.Errors)
	}
	return c
}

// compileTests compiles everything for its problems only.
func compileTests(modules []*module, data ast.Object, p *problems) {
	c, err := newCompiler(data, true)
	if err != nil {
		p.add("tests", 0, "%v", err)
		return
	}
	if c.Compile(parsed(modules, true)); c.Failed() {
		p.ast("tests", c.Errors)
	}
}

func newCompiler(data ast.Object, tests bool) (*ast.Compiler, error) {
	schemas, err := schemas()
	if err != nil {
		return nil, err
	}
	documentAt := func(path []string) (bool, error) {
		ref := make(ast.Ref, len(path))
		for i, part := range path {
			ref[i] = ast.StringTerm(part)
		}
		_, err := data.Find(ref)
		return err == nil, nil
	}
	return ast.NewCompiler().
		WithCapabilities(capabilities(tests)).
		WithStrict(true).
		WithSchemas(schemas).
		WithEnablePrintStatements(tests).
		WithPathConflictsCheck(documentAt).
		SetErrorLimit(0), nil
}

func parsed(modules []*module, tests bool) map[string]*ast.Module {
	m := make(map[string]*ast.Module, len(modules))
	for _, x := range modules {
		if tests || !x.test() {
			m[x.name] = x.Module
		}
	}
	return m
}

// schemas mounts the schema of the review document where the type checker looks
// for the type of input.
func schemas() (*ast.SchemaSet, error) {
	var schema any
	if err := json.Unmarshal(document.Schema(), &schema); err != nil {
		return nil, fmt.Errorf("the schema of the review document: %w", err)
	}
	set := ast.NewSchemaSet()
	set.Put(ast.SchemaRootRef, schema)
	return set, nil
}
