package plan_test

import (
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine/policy/rego/internal/plan"
)

// TestKinds: a key is found among those of its kind, whichever of the kinds and plans was
// made first, and a key of another kind is not.
func TestKinds(t *testing.T) {
	for name, c := range map[string]struct{ ref, want string }{
		"its own":                     {`input["kind own"]`, "result=[1]"},
		"another kind's too":          {`input["kind shared"]`, "result=[2]"},
		"that it lacks":               {`input["kind lacks"]`, "result=[]"},
		"of an older kind":            {`input["kind older"]`, "result=[]"},
		"of a younger kind":           {`input["kind younger"]`, "result=[]"},
		"of one younger than plans":   {`input["kind late"]`, "result=[]"},
		"of none":                     {`input["kind none"]`, "result=[]"},
		"twice":                       {`input["kind twice"]["kind own"]`, "result=[1]"},
		"twice, that it lacks":        {`input["kind twice"]["kind lacks"]`, "result=[]"},
		"twice, of a younger kind":    {`input["kind twice"]["kind younger"]`, "result=[]"},
		"twice, of what it lacks":     {`input["kind lacks"]["kind own"]`, "result=[]"},
		"three times":                 {`input["kind twice"]["kind twice"]["kind own"]`, "result=[1]"},
		"with a younger one between":  {`input["kind twice"]["kind younger"]["kind own"]`, "result=[]"},
		"of a kind younger than plan": {`input["kind twice"]["kind twice"]["kind twice"]["kind later"]`, "result=[3]"},
		"where it is not":             {`input["kind twice"]["kind twice"]["kind twice"]["kind own"]`, "result=[]"},
	} {
		t.Run(name, func(t *testing.T) {
			of := func(names ...string) []string { // no other case has them
				for i := range names {
					names[i] = name + " " + names[i]
				}
				return names
			}
			plan.NewKind(of("older", "shared"))
			kind := plan.NewKind(of("first", "lacks", "own", "shared", "twice"))
			plan.NewKind(of("own", "younger"))
			m := planned(t, "p := [x | x := "+strings.ReplaceAll(c.ref, "kind", name)+"]", "result = data.t.p")
			input := ofKind(plan.NewKind(of("late", "later")), nil, ast.IntNumberTerm(3))
			for range 3 {
				input = ofKind(kind, ast.IntNumberTerm(0), nil, ast.IntNumberTerm(1), ast.IntNumberTerm(2), input)
			}
			if got, err := m.run(input); err != nil || text(got) != c.want {
				t.Errorf("got %v, %v, want %s", got, err, c.want)
			}
		})
	}
}

// ofKind is an object of a kind, with a value for each of its names.
func ofKind(kind *plan.Kind, values ...*ast.Term) *ast.Term {
	e := &given{values: values}
	e.part.Sparse(e, kind, make([]*ast.Term, len(values)))
	return ast.NewTerm(&e.part)
}

type given struct {
	part   plan.Part
	values []*ast.Term
}

func (g *given) Element(i int) *ast.Term { return g.values[i] }

func (*given) Key(int) *ast.Term { return nil }
