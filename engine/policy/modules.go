package policy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy/rego"
	"github.com/nri-guard/nri-guard/engine/policy/wasm"
)

// modules loads the WebAssembly modules. Their names must differ from those of the
// other policies, which are nil where they could not be loaded.
func (c *Config) modules(ctx context.Context, others *rego.Program) (*wasm.Program, []error) {
	var errs []error
	if others != nil {
		for i, m := range c.Policy.Wasm {
			taken := func(p rego.Policy) bool { return p.Name == m.Name }
			if j := slices.IndexFunc(others.Policies(), taken); j >= 0 {
				errs = append(errs, c.wrongModule(&wasm.ConfigError{Index: i, Key: "name", Where: m.Where,
					Err: fmt.Errorf("there is a policy %q already, in %s", m.Name, others.Policies()[j].File)}))
			}
		}
	}
	program, err := wasm.Load(ctx, c.Policy.Wasm, wasm.Options(c.Policy.Sandbox))
	if err != nil {
		return nil, append(errs, c.wrongModules(err)...)
	}
	return program, errs
}

// wrongModules says of each module that cannot be loaded where it stands.
func (c *Config) wrongModules(err error) []error {
	parts := []error{err}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		parts = joined.Unwrap()
	}
	for i, part := range parts {
		var one *wasm.ConfigError
		if errors.As(part, &one) {
			parts[i] = c.wrongModule(one)
			continue
		}
		parts[i] = c.wrong("policy.sandbox", part)
	}
	return parts
}

func (c *Config) wrongModule(e *wasm.ConfigError) error {
	if e.Where != "" {
		return fmt.Errorf("%s: %w", e.Where, e)
	}
	at := fmt.Sprintf("policy.wasm[%d]", e.Index)
	if e.Key != "" {
		at += "." + e.Key
	}
	return c.wrong(at, e)
}

// describe lists all policies by name.
func describe(program *rego.Program, modules *wasm.Program) []Policy {
	var list []Policy
	for _, p := range program.Policies() {
		list = append(list, Policy{Policy: p})
	}
	for _, m := range modules.Policies() {
		list = append(list, Policy{ABI: m.ABI, Policy: rego.Policy{
			Name: m.Name, Title: "WebAssembly module (" + m.ABI + ")", Enforcement: engine.Deny, File: m.File}})
	}
	slices.SortFunc(list, func(a, b Policy) int { return cmp.Compare(a.Name, b.Name) })
	return list
}
