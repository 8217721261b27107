package rego

import (
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// module is a parsed file.
type module struct {
	*ast.Module
	file
	origin *origin
	path   []string
	meta   metadata // of package scope
}

// parse parses every file. A file that does not parse is a problem.
func parse(origins []*origin, p *problems) []*module {
	var modules []*module
	seen := map[string]bool{}
	for _, o := range origins {
		for _, f := range o.files {
			if seen[f.name] {
				p.add(f.name, 0, "is loaded twice")
				continue
			}
			seen[f.name] = true
			if m := parseModule(o, f, p); m != nil {
				modules = append(modules, m)
			}
		}
	}
	return modules
}

func parseModule(o *origin, f file, p *problems) *module {
	m := &module{file: f, origin: o}
	parsed, err := ast.ParseModuleWithOpts(f.name, f.text, ast.ParserOptions{
		ProcessAnnotation: true,
		RegoVersion:       ast.RegoV1,
		Capabilities:      capabilities(m.test()),
	})
	if err != nil {
		p.ast(f.name, err)
		return nil
	}
	if parsed == nil { // no statement at all
		p.add(f.name, 0, "is empty")
		return nil
	}
	m.Module = parsed
	for _, term := range parsed.Package.Path {
		name, _ := ast.JSON(term.Value)
		text, _ := name.(string)
		m.path = append(m.path, text)
	}
	m.path = m.path[1:]
	m.meta = readMetadata(m, p)
	return m
}

// pkg names the module's package as its first line does.
func (m *module) pkg() string { return strings.Join(m.path, ".") }

var validName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// policy returns the name of the policy that the module's package is, if it is one.
func (m *module) policy() (name string, ok bool) {
	if len(m.path) != 3 || m.path[0] != "nri" || m.path[1] != "policies" || !validName.MatchString(m.path[2]) {
		return "", false
	}
	return m.path[2], true
}

func (m *module) in(packages ...string) bool {
	return slices.ContainsFunc(packages, func(pkg string) bool {
		return m.pkg() == pkg || strings.HasPrefix(m.pkg(), pkg+".")
	})
}

// checkPackage says what is wrong with where the module defines. Policies are
// nri.policies.NAME, to the letter: anything else below nri would not be looked
// at, and is reserved. Outside nri there may be helpers; that somebody looks at
// them is for [checkHelpers].
func checkPackage(m *module, p *problems) {
	if _, ok := m.policy(); ok || !m.in("nri") {
		return
	}
	loc := m.Package.Location
	switch {
	case m.in("nri.lib"):
		if !m.origin.library {
			p.at(loc, "package nri.lib is reserved for the library's helpers")
		}
	case m.in("nri.config"):
		p.at(loc, "package nri.config is reserved for configuration")
	case m.test():
		// Tests may be in any package that is not reserved.
	case len(m.path) == 3 && m.path[1] == "policies":
		p.at(loc, "%q is no name for a policy: it must match %s", m.path[2], validName)
	default:
		p.at(loc, "nothing looks at package %s: a policy is a package nri.policies.NAME", m.pkg())
	}
}
