package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// TestIndexOfParts: rules that the index leaves out because of what an object or a list of
// the input holds are left out too where these are parts. One of the rules would fail.
func TestIndexOfParts(t *testing.T) {
	for name, c := range map[string]struct{ rules, want string }{
		"a list":                   {`p if { to_number(input.name); input.list == ["z"] }`, ""},
		"a list of that length":    {`p if { to_number(input.name); input.list == ["z", "b"] }`, ""},
		"the list":                 {`p if { not to_number("1") == 2; input.list == ["a", "b"] }`, "result=true"},
		"a pattern of a list":      {`p if { to_number(input.name); [_, "z"] = input.list }`, ""},
		"no list at all":           {`p if { to_number(input.name); input.list == "a" }`, ""},
		"one of some texts":        {`p if { to_number(input.name); input.list in {"a", "b"} }`, ""},
		"a key that there is not":  {`p if { to_number("n"); input.missing.key }`, ""},
		"a key of no object":       {`p if { to_number(input.name); input.name.key }`, ""},
		"one that is there":        {`p if { not to_number("1") == 2; input.object }`, "result=true"},
		"one of two keys":          {`p if { to_number("n"); input.list; input.missing }`, ""},
		"a document of that name":  {`p if { to_number("n"); data.object }`, ""},
		"a list or another":        {`p if { to_number(input.name); input.list == ["z"] or input.object == ["z"] }`, ""},
		"a member":                 {`p if { to_number(input.name); "z" in input.list }`, ""},
		"a member of an object":    {`p if { to_number(input.name); "z" in input.object }`, ""},
		"any element":              {`p if { to_number(input.name); input.object[_] == "z" }`, ""},
		"the input as a whole":     {`p if { to_number(input.name); "z" in input }`, ""},
		"an argument":              {"p := f(input.list)\n\nf(x) := 1 if { to_number(input.name); x == [\"z\"] }\n\nf(x) := 2 if x == [\"a\", \"b\"]", "result=2"},
		"an argument's type":       {"p := f(input.list)\n\nf(x) := 1 if { to_number(input.name); x == \"a\" }\n\nf(x) := 2", "result=2"},
		"else":                     {"p := 1 if { to_number(input.name); \"z\" in input.list } else := 2", "result=2"},
		"a set":                    {`p contains 1 if { to_number(input.name); "z" in input.list }`, "result=set()"},
		"another value behind one": {"p := 1 if input.name\n\np := 2 if \"z\" in input.list\n\np := 1 if to_number(input.name)", "result=1"},
		"more than are examined":   {many(100) + `p if { to_number(input.name); input.list == ["z"] }`, ""},
		"a few of them":            {many(100) + "p if input.k7 == \"v7\"\n\np if input.list == [\"a\", \"b\"]", "result=true"},
		"a list with an object":    {`p if { to_number(input.name); input.list == ["z"]; input.object }`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := planned(t, "import future.keywords\n\n"+c.rules, "result = data.t.p")
			input := ast.MustParseTerm(`{"name": "n", "list": ["a", "b"], "object": {"x": "y"}}`)
			want, err := m.byTopdown(input)
			if err != nil || text(want) != c.want {
				t.Fatalf("topdown gives %v, %v, want %s", want, err, c.want)
			}
			if got, err := m.run(parted(input)); err != nil || !slices.Equal(got, want) {
				t.Errorf("got %v, %v, want %v", got, err, want)
			}
		})
	}
}

// many are rules that the index tells by as many keys of the input.
func many(n int) string {
	var rules strings.Builder
	for i := range n {
		fmt.Fprintf(&rules, "p if input.k%d == \"v%d\"\n\n", i, i)
	}
	return rules.String()
}
