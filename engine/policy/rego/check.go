package rego

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine"
)

// Report is what [Check] finds.
type Report struct {
	// Errors keep the sources from being loaded, or their tests from being run.
	Errors []Problem `json:"errors"`
	// Warnings are worth a look.
	Warnings []Problem `json:"warnings"`
	// Policies are those of the sources, where they can be loaded.
	Policies []Policy `json:"policies"`
}

// Check loads sources as [Load] does, tests included, and looks for what can be
// loaded and is likely a mistake all the same:
//
//   - a comparison of a change's field or op, or of input.operation, with a name
//     that does not exist: types tell that it is a string, not which;
//   - a rule of a policy that neither deny nor warn refers to;
//   - a policy of one's own that names profiles, which it is asked in anyway.
func Check(ctx context.Context, s Sources) *Report {
	p := &problems{}
	program, modules := load(ctx, s, p)
	if program != nil {
		compileTests(modules, program.data, p)
	}
	report := &Report{Errors: append([]Problem{}, sorted(p.list)...), Warnings: []Problem{}, Policies: []Policy{}}
	w := &problems{}
	for _, m := range modules {
		checkNames(m, w)
	}
	if program != nil && len(p.list) == 0 {
		report.Policies = program.Policies()
		for _, x := range program.policies {
			checkUnused(program.compiler, x, w)
			if !x.Library && len(x.Profiles) > 0 {
				w.add(x.File, x.line, "profiles are for the library: a policy of one's own is asked in every profile")
			}
		}
	}
	report.Warnings = append(report.Warnings, sorted(w.list)...)
	return report
}

// names are the values that a string of the document can have, by the last key of
// the references to it.
func names(key string) []string {
	var list []string
	switch key {
	case "field":
		for _, spec := range engine.Fields() {
			list = append(list, string(spec.Field))
		}
	case "op":
		for _, op := range engine.Ops() {
			list = append(list, string(op))
		}
	case "operation":
		for _, op := range engine.Operations() {
			list = append(list, string(op))
		}
	}
	return list
}

// checkNames warns of comparisons of names with others that do not exist.
func checkNames(m *module, w *problems) {
	check := func(terms []*ast.Term) {
		if len(terms) != 3 || !compares(terms[0]) {
			return
		}
		for i, t := range terms[1:] {
			ref, ok := t.Value.(ast.Ref)
			if !ok {
				continue
			}
			key, _ := ref[len(ref)-1].Value.(ast.String)
			if known := names(string(key)); len(known) > 0 {
				warnUnknown(ref, known, terms[2-i], w)
			}
		}
	}
	ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Expr:
			if terms, ok := x.Terms.([]*ast.Term); ok {
				check(terms)
			}
		case ast.Call:
			check(x)
		}
		return false
	}).Walk(m.Module)
}

func compares(operator *ast.Term) bool {
	return slices.Contains([]string{"eq", "equal", "neq", "assign", "internal.member_2"}, operator.String())
}

func warnUnknown(ref ast.Ref, known []string, with *ast.Term, w *problems) {
	check := func(t *ast.Term) {
		if s, ok := t.Value.(ast.String); ok && !slices.Contains(known, string(s)) {
			w.at(t.Location, "%s is never %q; it is one of %s", ref, string(s), strings.Join(known, ", "))
		}
	}
	switch v := with.Value.(type) {
	case *ast.Array:
		v.Foreach(check)
	case ast.Set:
		v.Foreach(check)
	default:
		check(with)
	}
}

// checkUnused warns of rules that the policy does not use.
func checkUnused(c *ast.Compiler, x *policy, w *problems) {
	for _, m := range x.parts {
		for _, r := range c.Modules[m.name].Rules {
			if !x.rules[r] {
				w.at(r.Location, "neither deny nor warn refers to %s", ruleName(r))
			}
		}
	}
}

func ruleName(r *ast.Rule) string { return fmt.Sprint(r.Head.Ref().GroundPrefix()) }
