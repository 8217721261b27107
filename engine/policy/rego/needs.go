package rego

import (
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine"
)

// needs derives which change fields must be there for a rule to hold: the fields
// whose input.changes.FIELD some expression of its body needs to be defined. It
// looks at compiled rules and knows a few forms only; what it does not know needs
// nothing, so that a policy is rather asked in vain than not asked.
type needs struct {
	compiler *ast.Compiler
	known    map[*ast.Rule]fieldSet
}

func newNeeds(c *ast.Compiler) *needs {
	return &needs{compiler: c, known: map[*ast.Rule]fieldSet{}}
}

// rule returns the fields without which the rule cannot hold.
func (n *needs) rule(r *ast.Rule) fieldSet {
	if set, ok := n.known[r]; ok {
		return set
	}
	set := n.body(r.Body)
	if r.Default {
		set = 0
	}
	if r.Else != nil {
		set &= n.rule(r.Else)
	}
	n.known[r] = set
	return set
}

// body needs what any of its expressions needs.
func (n *needs) body(body ast.Body) fieldSet {
	var set fieldSet
	for _, expr := range body {
		if expr.Negated || len(expr.With) > 0 {
			continue
		}
		switch terms := expr.Terms.(type) {
		case *ast.Term:
			set |= n.term(terms)
		case []*ast.Term: // a call is undefined when an argument is
			for _, t := range terms {
				set |= n.term(t)
			}
		}
	}
	return set
}

// term returns what must be there for the term to be defined.
func (n *needs) term(t *ast.Term) fieldSet {
	switch v := t.Value.(type) {
	case ast.Ref:
		set := n.ref(v)
		for _, part := range v[1:] {
			set |= n.term(part)
		}
		return set
	case ast.Call:
		var set fieldSet
		for _, part := range v {
			set |= n.term(part)
		}
		return set
	}
	return 0 // comprehensions are defined whatever is in them
}

func (n *needs) ref(ref ast.Ref) fieldSet {
	if ref.HasPrefix(ast.InputRootRef) {
		if len(ref) < 3 || ref[1].Value.Compare(ast.String("changes")) != 0 {
			return 0
		}
		field, _ := ref[2].Value.(ast.String)
		return fieldBit(engine.Field(field))
	}
	if !ref.HasPrefix(ast.DefaultRootRef) {
		return 0
	}
	return n.rules(ref)
}

// rules returns what the rules need that a reference into data leads to: at least
// one of them must hold for it to be defined.
func (n *needs) rules(ref ast.Ref) fieldSet {
	prefix := ref.ConstantPrefix()
	for i := len(prefix); i > 1; i-- {
		rules := n.compiler.GetRulesExact(prefix[:i])
		if len(rules) == 0 {
			continue
		}
		if rules[0].Head.RuleKind() == ast.MultiValue && i == len(ref) {
			return 0 // the set as a whole, which is there even when it is empty
		}
		set := ^fieldSet(0)
		for _, r := range rules {
			if len(r.Head.Ref()) != i-len(r.Module.Package.Path) {
				return 0 // an object made of several rules
			}
			set &= n.rule(r)
		}
		return set
	}
	return 0
}
