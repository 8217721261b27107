package rego

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// checkRefs reports references into data that lead nowhere. Everything below data
// is known at load, so that such a reference would be undefined for ever, and a
// rule that uses it would never deny.
func checkRefs(c *ast.Compiler, data ast.Object, p *problems) {
	for _, m := range c.Modules {
		ast.WalkRefs(m, func(ref ast.Ref) bool {
			if ref.HasPrefix(ast.DefaultRootRef) && !resolves(c, data, ref) {
				loc := ref[0].Location
				if loc == nil || loc.File == "" {
					loc = m.Package.Location
				}
				p.at(loc, "%s is defined nowhere", ref.ConstantPrefix())
			}
			return false
		})
	}
}

// resolves follows the ground part of a reference through packages and rules, or
// else through the data documents.
func resolves(c *ast.Compiler, data ast.Object, ref ast.Ref) bool {
	prefix := ref.ConstantPrefix()
	node := c.RuleTree
	for _, term := range prefix {
		next := node.Child(term.Value)
		if next == nil {
			if len(node.Values) > 0 || dynamic(node) {
				return true // within a rule's value: for the type checker
			}
			_, err := data.Find(prefix[1:])
			return err == nil
		}
		node = next
	}
	return true
}

// dynamic says whether rules below the node are named by variables.
func dynamic(node *ast.TreeNode) bool {
	for key := range node.Children {
		if _, ok := key.(ast.Var); ok {
			return true
		}
	}
	return false
}

// checkHelpers reports packages besides policies that no policy refers to, be it
// by way of other helpers: most likely they were meant to be policies.
func checkHelpers(c *ast.Compiler, modules []*module, p *problems) {
	packages := map[string][]*module{}
	var reached []*module
	for _, m := range modules {
		_, ok := m.policy()
		switch {
		case m.test():
		case ok || m.origin.library:
			reached = append(reached, m)
		case !m.in("nri"): // what else is there has been reported
			packages[m.pkg()] = append(packages[m.pkg()], m)
		}
	}
	for len(reached) > 0 {
		m := reached[0]
		reached = reached[1:]
		ast.WalkRefs(c.Modules[m.name], func(ref ast.Ref) bool {
			for pkg, helpers := range packages {
				if touches(ref, helpers[0].Package.Path) {
					reached = append(reached, helpers...)
					delete(packages, pkg)
				}
			}
			return false
		})
	}
	for pkg, helpers := range packages {
		for _, m := range helpers {
			p.at(m.Package.Location, "nothing looks at package %s: a policy is a package nri.policies.NAME, and no policy refers to this one", pkg)
		}
	}
}

// touches says whether the reference can reach into the package.
func touches(ref, pkg ast.Ref) bool {
	prefix := ref.ConstantPrefix()
	return prefix.HasPrefix(pkg) || pkg.HasPrefix(prefix) && len(prefix) > 1
}
