package rego

import (
	"regexp"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// maxDelimiter is how long the delimiter of concat may be.
const maxDelimiter = 64

// checkCalls reports calls whose result can be far larger than their arguments: no
// deadline stops a builtin while it builds one. The format of sprintf and the
// delimiter of concat must be written out, so that it can be seen that they are not
// made for that.
func checkCalls(m *module, p *problems) {
	if m.test() {
		return
	}
	ast.WalkTerms(m.Module, func(t *ast.Term) bool {
		if call, ok := t.Value.(ast.Call); ok {
			checkCall(call, p)
		}
		return false
	})
	ast.WalkExprs(m.Module, func(e *ast.Expr) bool {
		if e.IsCall() {
			checkCall(e.Terms.([]*ast.Term), p)
		}
		return false
	})
}

func checkCall(call []*ast.Term, p *problems) {
	if len(call) < 2 {
		return
	}
	name := call[0].Value.String()
	argument, literal := call[1].Value.(ast.String)
	switch {
	case name == ast.Sprintf.Name && !literal:
		p.at(call[0].Location, "sprintf must have a format that is written out here")
	case name == ast.Sprintf.Name && wide(string(argument)):
		p.at(call[0].Location, "sprintf may pad to 999 characters at most, by numbers that stand in the format")
	case name == ast.Concat.Name && (!literal || len(argument) > maxDelimiter):
		p.at(call[0].Location, "concat must have a delimiter that is written out here, of at most %d characters", maxDelimiter)
	}
}

// verb is one of a format's, with its flags, width and precision.
var verb = regexp.MustCompile(`%[-+# 0]*[0-9.*\[\]]*`)

// wide says whether a format asks for more padding than texts for people need.
func wide(format string) bool {
	for _, v := range verb.FindAllString(strings.ReplaceAll(format, "%%", ""), -1) {
		if strings.ContainsAny(v, "*[") || longNumber.MatchString(v) {
			return true
		}
	}
	return false
}

var longNumber = regexp.MustCompile(`[0-9]{4}`)
