package rego

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy/internal/panics"
	"github.com/nri-guard/nri-guard/engine/policy/rego/internal/input"
	"github.com/nri-guard/nri-guard/engine/policy/rego/internal/plan"
)

// Program is what sources were compiled to. It does not change, and is safe for
// concurrent use.
type Program struct {
	compiler *ast.Compiler
	data     ast.Object
	plan     *plan.Program
	policies []*policy // by name
	digest   [sha256.Size]byte
}

// Policy describes a policy.
type Policy struct {
	Name        string `json:"name"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	// Enforcement is what the policy's own metadata asks for.
	Enforcement engine.Enforcement `json:"enforcement"`
	// Profiles are those of the library that the policy says it belongs to.
	Profiles []string `json:"profiles,omitempty"`
	// Library says whether the policy came with the guard.
	Library bool `json:"library"`
	// File is the first of its modules.
	File string `json:"file"`
	// Fields are the change fields that concern it; none means that it is asked
	// about every review.
	Fields []engine.Field `json:"fields,omitempty"`
}

// policy is a compiled policy.
type policy struct {
	Policy
	line  int        // of the package
	needs []fieldSet // for each of its rules deny and warn
	rules map[*ast.Rule]bool
	warns bool
	query *plan.Query
	parts []*module
}

// concerned says whether any of the policy's rules could hold for a review with
// changes of these fields.
func (p *policy) concerned(present fieldSet) bool {
	return slices.ContainsFunc(p.needs, func(n fieldSet) bool { return n&^present == 0 })
}

// Load reads, checks and compiles sources. The error is a [*LoadError] that holds
// everything that is wrong.
func Load(ctx context.Context, s Sources) (*Program, error) {
	p := &problems{}
	program, _ := load(ctx, s, p)
	if err := p.err(); err != nil {
		return nil, err
	}
	return program, nil
}

// load is Load that also returns the modules that can be read, tests included. The
// program is of no use where there are problems; it is nil where there was no
// compiling anything. What makes OPA panic is a problem.
func load(ctx context.Context, s Sources, p *problems) (program *Program, modules []*module) {
	defer func() {
		if cause := recover(); cause != nil {
			program = nil
			p.add("policies", 0, "OPA gave up: %v", panics.Error(cause))
		}
	}()
	origins := readAll(s, p)
	modules = parse(origins, p)
	data := allData(origins, s.Config, p)
	readable := len(p.list) == 0
	policies := checkModules(modules, p)
	checkOrigins(origins, modules, p)
	if p.late(ctx) || !readable {
		return nil, modules
	}
	program = &Program{data: data, digest: digest(origins, data)}
	program.compiler = compile(modules, data, p)
	if program.compiler == nil || program.compiler.Failed() {
		return nil, modules
	}
	checkRefs(program.compiler, data, p)
	checkHelpers(program.compiler, modules, p)
	n := newNeeds(program.compiler)
	for _, name := range util.KeysSorted(policies) {
		checkEntries(program.compiler, name, p)
		program.policies = append(program.policies, newPolicy(program.compiler, n, name, policies[name]))
	}
	if len(p.list) == 0 {
		program.evaluate(p)
	}
	p.late(ctx)
	return program, modules
}

// evaluate plans how policies are evaluated.
func (p *Program) evaluate(found *problems) {
	input.Ready()
	p.plan = plan.New(p.compiler, p.data)
	for _, x := range p.policies {
		var err error
		if x.query, err = p.plan.Query(x.question()); err != nil {
			found.add(x.File, x.line, "policy %s cannot be evaluated: %v", x.Name, err)
		}
	}
}

// checkModules says what is wrong with the modules as they are written, and
// returns the parts of each policy.
func checkModules(modules []*module, p *problems) map[string][]*module {
	for _, m := range modules {
		checkPackage(m, p)
		checkCalls(m, p)
	}
	policies := group(modules, p)
	for name, parts := range policies {
		checkRules(name, parts, p)
	}
	checkTests(modules, p)
	return policies
}

// late says whether ctx has ended, which is a problem too.
func (p *problems) late(ctx context.Context) bool {
	if ctx.Err() == nil {
		return false
	}
	p.add("policies", 0, "loading was given up: %v", context.Cause(ctx))
	return true
}

func newPolicy(c *ast.Compiler, n *needs, name string, parts []*module) *policy {
	first := parts[0]
	x := &policy{parts: parts, line: first.Package.Location.Row, Policy: Policy{
		Name: name, Library: first.origin.library, File: first.name}}
	for _, m := range parts {
		if m.meta.Title != "" || m.meta.Description != "" {
			x.Title, x.Description = m.meta.Title, m.meta.Description
		}
		if m.meta.Custom != nil {
			x.Enforcement, x.Profiles = m.meta.Custom.Enforcement, m.meta.Custom.Profiles
		}
	}
	warnings := c.GetRulesExact(ruleRef(name, warnRule))
	asked := slices.Concat(c.GetRulesExact(ruleRef(name, denyRule)), warnings)
	x.warns = len(warnings) > 0
	x.rules = reachable(c, asked)
	var concerns fieldSet
	for _, r := range asked {
		need := n.rule(r)
		x.needs = append(x.needs, need)
		concerns |= need
	}
	if !slices.Contains(x.needs, 0) {
		x.Fields = concerns.fields()
	}
	return x
}

// checkOrigins reports a path that adds no policy.
func checkOrigins(origins []*origin, modules []*module, p *problems) {
	for _, o := range origins {
		explained := slices.ContainsFunc(p.list, func(x Problem) bool {
			return x.File == o.name || strings.HasPrefix(x.File, o.name+"/")
		})
		holdsPolicy := slices.ContainsFunc(modules, func(m *module) bool {
			_, ok := m.policy()
			return ok && m.origin == o && !m.test()
		})
		if !o.library && !explained && !holdsPolicy {
			p.add(o.name, 0, "holds no policy")
		}
	}
}

// allData merges the data documents of all origins with the configuration.
func allData(origins []*origin, config map[string]any, p *problems) ast.Object {
	all := map[string]any{}
	for _, o := range origins {
		if at := merge(all, o.data, "data"); at != "" {
			p.add(o.name, 0, "defines %s, which another source defines too", at)
		}
	}
	if config == nil {
		config = map[string]any{}
	}
	if at := merge(all, map[string]any{"nri": map[string]any{"config": config}}, "data"); at != "" {
		p.add("library", 0, "defines %s, which is reserved for configuration", at)
	}
	value, err := ast.InterfaceToValue(all)
	if err != nil {
		p.add("policies", 0, "the data documents: %v", err)
		return ast.NewObject()
	}
	return value.(ast.Object)
}

// digest covers what decides: modules that are no tests, and data.
func digest(origins []*origin, data ast.Object) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, o := range origins {
		files := slices.Clone(o.files)
		slices.SortFunc(files, func(a, b file) int { return cmp.Compare(a.rel, b.rel) })
		for _, f := range files {
			if !f.test() {
				field(h, f.rel)
				field(h, f.text)
			}
		}
		fmt.Fprintf(h, "end %t\n", o.library)
	}
	field(h, data.String())
	h.Sum(sum[:0])
	return sum
}

// field writes a text so that no two sequences of texts look the same.
func field(h hash.Hash, s string) { fmt.Fprintf(h, "%d:%s\n", len(s), s) }

// Policies describes the policies, sorted by name.
func (p *Program) Policies() []Policy {
	list := make([]Policy, len(p.policies))
	for i, x := range p.policies {
		list[i] = x.Policy
	}
	return list
}

// Digest identifies the sources and the configuration that the program was loaded
// from, wherever they lay; tests do not count.
func (p *Program) Digest() [sha256.Size]byte { return p.digest }
