package rego

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"
)

// The rules that are asked.
const (
	denyRule = "deny"
	warnRule = "warn"
)

// group sorts the modules that are no tests into policies, by name. It reports
// policies that share a name, and those without a directory of their own.
func group(modules []*module, p *problems) map[string][]*module {
	policies := map[string][]*module{}
	byDir := map[string]*module{}
	for _, m := range modules {
		if m.test() {
			continue
		}
		name, ok := m.policy()
		if ok {
			policies[name] = append(policies[name], m)
		}
		first := byDir[m.dir]
		if first == nil {
			byDir[m.dir] = m
			continue
		}
		_, firstToo := first.policy()
		if (ok || firstToo) && first.pkg() != m.pkg() {
			p.at(m.Package.Location, "package %s shares its directory with package %s; a policy has a directory of its own",
				m.pkg(), first.pkg())
		}
	}
	for name, parts := range policies {
		for _, m := range parts[1:] {
			if m.dir != parts[0].dir {
				p.at(m.Package.Location, "there is another policy %s: %s", name, parts[0].name)
			}
		}
	}
	return policies
}

// checkRules says what is wrong with the rules that a policy is asked for.
func checkRules(name string, parts []*module, p *problems) {
	var found bool
	for _, m := range parts {
		for _, r := range m.Rules {
			for rule := r; rule != nil; rule = rule.Else {
				found = checkRule(rule, p) || found
			}
		}
	}
	if !found {
		hint := ""
		if near := similar(parts); near != "" {
			hint = "; it has " + near
		}
		p.at(parts[0].Package.Location, "policy %s has no rule \"deny contains ...\"%s", name, hint)
	}
}

// checkRule says whether the rule is named deny, and reports one that is named
// deny or warn and does not make a set.
func checkRule(r *ast.Rule, p *problems) (isDeny bool) {
	ref := r.Head.Ref()
	name := string(ref[0].Value.(ast.Var))
	if name != denyRule && name != warnRule {
		return false
	}
	if r.Default || len(ref) != 1 || len(r.Head.Args) > 0 || r.Head.RuleKind() != ast.MultiValue {
		p.at(r.Location, "%s must be a set: write \"%s contains ... if { ... }\"", name, name)
	}
	return name == denyRule
}

// checkTests reports tests that define what they are to test.
func checkTests(modules []*module, p *problems) {
	for _, m := range modules {
		if _, ok := m.policy(); !ok || !m.test() {
			continue
		}
		for _, r := range m.Rules {
			if name := string(r.Head.Ref()[0].Value.(ast.Var)); name == denyRule || name == warnRule {
				p.at(r.Location, "a test cannot add to the %s of its policy", name)
			}
		}
	}
}

// similar names a rule that may have been meant to be deny.
func similar(parts []*module) string {
	var names []string
	for _, m := range parts {
		for _, r := range m.Rules {
			if name := string(r.Head.Ref()[0].Value.(ast.Var)); strings.HasPrefix(name, "den") {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// checkEntries says where the type checker knows that what a rule offers is no
// entry.
func checkEntries(c *ast.Compiler, name string, p *problems) {
	for _, rule := range []string{denyRule, warnRule} {
		ref := ruleRef(name, rule)
		rules := c.GetRulesExact(ref)
		set, ok := c.TypeEnv.GetByRef(ref).(*types.Set)
		if len(rules) == 0 || !ok {
			continue
		}
		if why := wrongEntry(set.Of()); why != "" {
			p.at(rules[0].Location, "an entry of %s must be a string or an object with msg and change, both strings: %s", rule, why)
		}
	}
}

// wrongEntry says why no value of the type is an entry; "" where one may be. Of a
// union each member must be.
func wrongEntry(t types.Type) string {
	switch t := t.(type) {
	case types.Any:
		for _, member := range t {
			if why := wrongEntry(member); why != "" {
				return why
			}
		}
		return ""
	case types.String:
		return ""
	case *types.Object:
		return wrongObject(t)
	}
	return "it may be of type " + typeName(t)
}

func wrongObject(t *types.Object) string {
	for _, property := range t.StaticProperties() {
		if property.Key != keyMessage && property.Key != keyChange {
			return fmt.Sprintf("it may have a key %q", fmt.Sprint(property.Key))
		}
		if !isString(property.Value) {
			return fmt.Sprintf("%s may be of type %s", property.Key, typeName(property.Value))
		}
	}
	if len(t.StaticProperties()) == 0 && t.DynamicProperties() == nil {
		return "it is an empty object"
	}
	return ""
}

// typeName writes a type without what is in it.
func typeName(t types.Type) string {
	name, _, _ := strings.Cut(types.Sprint(t), "<")
	name, _, _ = strings.Cut(name, "[")
	return name
}

func isString(t types.Type) bool {
	union, ok := t.(types.Any)
	if !ok {
		_, ok = t.(types.String)
		return ok
	}
	return !slices.ContainsFunc(union, func(member types.Type) bool { return !isString(member) })
}

// ruleRef is data.nri.policies.NAME.RULE.
func ruleRef(policy, rule string) ast.Ref {
	return ast.Ref{ast.DefaultRootDocument, ast.StringTerm("nri"), ast.StringTerm("policies"),
		ast.StringTerm(policy), ast.StringTerm(rule)}
}
