package rego

import (
	"encoding/json"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine/document"
)

// compile compiles modules together, against the schema of the review document.
// The compiler is of no use where there are problems.
func compile(modules []*module, data ast.Object, tests bool, p *problems) (c *ast.Compiler) {
	defer func() {
		if cause := recover(); cause != nil {
			p.add("policies", 0, "the compiler gave up: %v", cause)
		}
	}()
	schemas, err := schemas()
	if err != nil {
		p.add("policies", 0, "%v", err)
		return nil
	}
	c = ast.NewCompiler().
		WithCapabilities(capabilities(tests)).
		WithStrict(true).
		WithSchemas(schemas).
		WithEnablePrintStatements(tests).
		WithPathConflictsCheck(func(path []string) (bool, error) {
			ref := make(ast.Ref, len(path))
			for i, part := range path {
				ref[i] = ast.StringTerm(part)
			}
			_, err := data.Find(ref)
			return err == nil, nil
		}).
		SetErrorLimit(0)
	parsed := map[string]*ast.Module{}
	for _, m := range modules {
		if tests || !m.test() {
			parsed[m.name] = m.Module
		}
	}
	if c.Compile(parsed); c.Failed() {
		p.ast("policies", c.Errors)
	}
	return c
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
