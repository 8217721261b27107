package plan_test

import (
	"slices"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine/policy/rego/internal/plan"
)

// parted makes parts of all objects with names for keys, and of all lists, of a term.
func parted(t *ast.Term) *ast.Term {
	if t == nil {
		return nil
	}
	return (&elements{}).of(t)
}

// sparse is parted, but for names that objects could have besides, and have not.
func sparse(t *ast.Term) *ast.Term {
	if t == nil {
		return nil
	}
	return (&elements{lacks: []string{"", "nobody's", "\U0010FFFF"}}).of(t)
}

// elements are those of a value of OPA's.
type elements struct {
	part   plan.Part
	keys   []*ast.Term
	values []*ast.Term
	asked  int
	lacks  []string // names of keys that there are not
}

func (e *elements) of(t *ast.Term) *ast.Term {
	switch v := t.Value.(type) {
	case ast.Object:
		var names []string
		for _, k := range v.Keys() {
			name, ok := k.Value.(ast.String)
			if !ok {
				return t
			}
			names, e.keys, e.values = append(names, string(name)), append(e.keys, k), append(e.values, v.Get(k))
		}
		if len(names) == 0 {
			return t
		}
		if e.lacks != nil {
			e.asKind(names, v)
			break
		}
		e.part.Object(e, names, make([]*ast.Term, len(names)))
	case *ast.Array:
		v.Foreach(func(x *ast.Term) { e.values = append(e.values, x) })
		e.part.List(e, make([]*ast.Term, v.Len()))
	default:
		return t
	}
	return ast.NewTerm(&e.part)
}

func (e *elements) asKind(names []string, o ast.Object) {
	names = append(names, e.lacks...)
	slices.Sort(names)
	names = slices.Compact(names)
	e.keys, e.values = nil, nil
	for _, name := range names {
		key := ast.StringTerm(name)
		e.keys, e.values = append(e.keys, key), append(e.values, o.Get(key))
	}
	e.part.Sparse(e, plan.NewKind(names), make([]*ast.Term, len(names)))
}

func (e *elements) Element(i int) *ast.Term {
	e.asked++
	if e.values[i] == nil {
		return nil
	}
	return (&elements{lacks: e.lacks}).of(e.values[i])
}

func (e *elements) Key(i int) *ast.Term { return e.keys[i] }

// TestParts: what parts of an input rules make of it, and how much of it is made.
func TestParts(t *testing.T) {
	for name, c := range map[string]struct {
		rules, want string
		made        int // of the four elements of input itself
	}{
		"one of them":        {`p := input.a.b`, `result=[1, 2]`, 1},
		"an index":           {`p := input.a.b[1]`, `result=2`, 1},
		"no such index":      {"default p := 0\n\np := input.a.b[2]", `result=0`, 1},
		"no such key":        {"default p := 0\n\np := input.x", `result=0`, 0},
		"a key of no string": {"default p := 0\n\np := input[0]", `result=0`, 0},
		"a key for an index": {"default p := 0\n\np := input.a.b.c", `result=0`, 1},
		"their number":       {`p := count(input)`, `result=4`, 0},
		"their keys":         {`p := object.keys(input)`, `result={"a", "c", "d", "e"}`, 0},
		"all":                {`p := [k | some k, _ in input]`, `result=["a", "c", "d", "e"]`, 4},
		"a comparison":       {`p := input.a == {"b": [1, 2]}`, `result=true`, 1},
		"compared with":      {`p := {"b": [1, 2]} == input.a`, `result=true`, 1},
		"two parts":          {`p := input.c == input.d`, `result=true`, 2},
		"two that differ":    {`p := input.a == input.d`, `result=false`, 2},
		"into a builtin":     {`p := json.marshal(input.a)`, `result="{\"b\":[1,2]}"`, 1},
		"a key that is one":  {`p := {[1]: "x"}[input.c]`, `result="x"`, 1},
		"into a set":         {`p := {x | some x in [input.c, input.d]}`, `result={[1]}`, 2},
		"a set of rules":     {"p contains x if some x in [input.c, input.d]", `result={[1]}`, 2},
		"an object of rules": {"p[x] := y if {\n\tx := input.c\n\ty := input.a\n}", `result={[1]: {"b": [1, 2]}}`, 2},
		"into a function":    {"p := f(input.a)\n\nf(x) := x.b[0]", `result=1`, 1},
		"twice":              {"p := [f(input.c), f(input.d)]\n\nf(x) := x[0]", `result=[1, 1]`, 2},
		"a function's pattern": {"p := f(input.c)\n\nf([1]) := \"one\"\n\nf([2]) := \"two\"\n\nf([3, x]) := x",
			`result="one"`, 1},
		"an object's pattern": {"p := f(input.a)\n\nf({\"b\": [x, _]}) := x", `result=1`, 1},
		"an index of rules": {"p contains 1 if input.c == [1]\n\np contains 2 if input.c == [2]\n\np contains 3 if input.c == 3\n\np contains 4 if [1, _] = input.a.b",
			`result={1, 4}`, 2},
		"every":              {`p if every x in input.c { x == 1 }`, `result=true`, 1},
		"a member":           {`p if 1 in input.c`, `result=true`, 1},
		"walk":               {`p := [x | walk(input.a, [_, x]); is_number(x)]`, `result=[1, 2]`, 1},
		"with":               {"p := x if x := q with input.a as 3\n\nq := [input.a, input.c]", `result=[3, [1]]`, 4},
		"with a part":        {"p := x if x := q with input.a as input.c\n\nq := input.a", `result=[1]`, 4},
		"data with a part":   {"p := x if x := q with data.t.r as input.c\n\nq := r\n\nr := 1", `result=[1]`, 1},
		"nobody's":           {`p := [input.e, input.e.f]`, ``, 1},
		"a conflict of them": {"p := input.c\n\np := input.d", `result=[1]`, 2},
	} {
		t.Run(name, func(t *testing.T) {
			m := planned(t, c.rules, "result = data.t.p")
			e := &elements{}
			input := e.of(ast.MustParseTerm(`{"a": {"b": [1, 2]}, "c": [1], "d": [1], "e": 5}`))
			got, err := m.run(input)
			if err != nil {
				t.Fatal(err)
			}
			if text(got) != c.want {
				t.Errorf("got %s, want %s", text(got), c.want)
			}
			if e.asked != c.made {
				t.Errorf("%d elements were made, want %d", e.asked, c.made)
			}
		})
	}
}
