package rego

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/internal/reviewtest"
	"github.com/nri-guard/nri-guard/engine/policy/rego/internal/input"
	"github.com/nri-guard/nri-guard/engine/policy/rego/internal/plan"
	"github.com/nri-guard/nri-guard/policies"
)

// oracle evaluates with OPA's interpreter, strictly.
func oracle(tb testing.TB, c *ast.Compiler, data ast.Object, body ast.Body, input *ast.Term) ([]topdown.QueryResult, error) {
	tb.Helper()
	ctx := context.Background()
	store := inmem.NewFromASTObject(data)
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	defer store.Abort(ctx, txn)
	var results []topdown.QueryResult
	err = topdown.NewQuery(body).WithCompiler(c).WithStore(store).WithTransaction(txn).WithInput(input).
		WithStrictBuiltinErrors(true).
		Iter(ctx, func(r topdown.QueryResult) error {
			results = append(results, r)
			return nil
		})
	return results, err
}

// parts is the input of a review, nothing of which has been looked at.
func parts(tb testing.TB, r *engine.Review) *input.Input {
	tb.Helper()
	in, err := input.New(r, false)
	if err != nil {
		tb.Fatal(err)
	}
	return in
}

// whole is all of it.
func whole(tb testing.TB, r *engine.Review) *ast.Term {
	tb.Helper()
	return plan.Solid(parts(tb, r).Term())
}

// agree fails where a policy of the program answers otherwise than by the oracle.
func agree(tb testing.TB, p *Program, r *engine.Review) {
	tb.Helper()
	agreeAs(tb, p, r, func(*engine.Verdict) {})
}

// agreeToFail is agree, but for which error is said of a policy that has several: the
// interpreter goes on with the first value of a rule before it looks whether there is
// another, which is a conflict, and comes to an error in between.
func agreeToFail(tb testing.TB, p *Program, r *engine.Review) {
	tb.Helper()
	agreeAs(tb, p, r, func(v *engine.Verdict) {
		for i := range v.Failures {
			v.Failures[i].Message = "some error"
		}
	})
}

func agreeAs(tb testing.TB, p *Program, r *engine.Review, said func(*engine.Verdict)) {
	tb.Helper()
	j := newJudge(tb, p)
	all := whole(tb, r)
	in := parts(tb, r)
	evaluation := p.begin(context.Background(), in.Term())
	failed := false
	for _, a := range j.asked {
		var want, got engine.Verdict
		results, err := oracle(tb, p.compiler, p.data, a.question(), all)
		switch {
		case err != nil:
			want.Failures = []engine.Failure{a.failure(err)}
		case len(results) != 1:
			tb.Fatalf("%s: %d results", a.Name, len(results))
		default:
			a.answer(answer{results[0][denied], results[0][warned]}, &want)
		}
		result, err := a.run(evaluation, nil)
		if err != nil {
			got.Failures = []engine.Failure{a.failure(err)}
			evaluation, failed = p.begin(context.Background(), in.Term()), true
		} else {
			a.answer(result, &got)
		}
		said(&want)
		said(&got)
		if diff := cmp.Diff(want, got); diff != "" {
			tb.Fatalf("%s (-by topdown +by the plan):\n%s", a.Name, diff)
		}
	}
	evaluation.End()
	if !failed {
		in.Release() // what is left behind must not show in the next
	}
}

// requests are reviews of all kinds.
func requests(n uint64) []*engine.Review {
	list := []*engine.Review{reviewtest.Reference(), reviewtest.Rich(), {}}
	for seed := range n {
		list = append(list, reviewtest.Random(rand.New(rand.NewPCG(seed, 3))))
	}
	return list
}

// TestOracle: plans and OPA's interpreter answer the same, whatever is asked.
func TestOracle(t *testing.T) {
	programs := map[string]Sources{"library": {Library: policies.FS}, "curious": {Library: library(curious)}}
	for _, at := range files(t, "testdata/*/*.txtar") {
		archive, err := txtar.ParseFile(at)
		if err != nil {
			t.Fatal(err)
		}
		sources := fstest.MapFS{}
		for _, f := range archive.Files {
			sources[f.Name] = &fstest.MapFile{Data: f.Data}
		}
		programs[at] = Sources{Library: sources}
	}
	asked := 0
	for name, s := range programs {
		p, err := Load(t.Context(), s)
		if err != nil {
			continue // what cannot be loaded is for other tests
		}
		asked++
		t.Run(name, func(t *testing.T) {
			for _, r := range requests(5) {
				agree(t, p, r)
			}
		})
	}
	if asked < 12 {
		t.Errorf("only %d programs could be loaded", asked)
	}
}

func files(tb testing.TB, pattern string) []string {
	tb.Helper()
	list, err := filepath.Glob(pattern)
	if err != nil || len(list) == 0 {
		tb.Fatal(list, err)
	}
	return list
}

// TestOracleTests: the library's own tests give the same by both.
func TestOracleTests(t *testing.T) {
	p := &problems{}
	program, modules := load(t.Context(), Sources{Library: policies.FS}, p)
	if err := p.err(); err != nil {
		t.Fatal(err)
	}
	compiler, err := newCompiler(program.data, true)
	if err != nil {
		t.Fatal(err)
	}
	if compiler.Compile(parsed(modules, true)); compiler.Failed() {
		t.Fatal(compiler.Errors)
	}
	planned := plan.New(compiler, program.data)
	ran := map[string]bool{}
	for _, m := range modules {
		for _, r := range m.Rules {
			ref := r.Ref().GroundPrefix()
			if name := ref.String(); !m.test() || ran[name] || !strings.Contains(name, ".test_") {
				continue
			}
			ran[ref.String()] = true
			body := ast.NewBody(ast.Equality.Expr(ast.NewTerm(ref), ast.VarTerm("x")))
			want, err := oracle(t, compiler, program.data, body, nil)
			if err != nil {
				t.Fatalf("%v: %v", ref, err)
			}
			q, err := planned.Query(body)
			if err != nil {
				t.Fatalf("%v: %v", ref, err)
			}
			var got []*ast.Term
			if err := q.Run(planned.Begin(t.Context(), nil), nil, func(r plan.Result) error {
				got = append(got, r.Get("x"))
				return nil
			}); err != nil {
				t.Fatalf("%v: %v", ref, err)
			}
			if len(want) != 1 || len(got) != 1 || !want[0]["x"].Equal(got[0]) {
				t.Errorf("%v: got %v, want %v", ref, got, want)
			}
		}
	}
	if len(ran) < 100 {
		t.Errorf("only %d tests", len(ran))
	}
}

// helpers are what generated policies can use. Some of them fail for some arguments.
const helpers = `
f(k) := "short" if count(k) < 9

f(k) := "etc" if startswith(k, "/etc")

f(k) := upper(k) if endswith(k, "E")

g(k, [a, b]) := a if k == b

else := b if startswith(k, a)

else := "else"

default h(_) := "default"

h(k) := to_number(k) if input.operation == "CreateContainer"

keys contains c.key if some c in input.changes[_]

numbers contains to_number(k) if some k in keys

ops[c.key] := c.op if some c in input.changes[_]

nested[c.field][c.op] contains c.key if some c in input.changes[_]

one := c.key if some c in input.changes[_]

default name := "none"

name := input.pod.name if input.pod.name != ""

first if {
	some c in input.changes[_]
	startswith(c.key, "/")
}

first if to_number(input.pod.name) > 1

table := {"add": 1, "remove": [2, {"x": 3}], "replace": {4, 5}}
`

// lines are conditions on a change c; @ makes names that are used once.
var lines = []string{
	`startswith(c.key, "/")`, `not startswith(c.key, "/etc")`, `c.op != "add"`, `c.granted`, `not c.granted`, `c.key in keys`,
	`some o@ in c.value.options`, "some i@, o@ in c.value.options\n\ti@ > 0", `every o@ in c.value.options { o@ != "ro" }`,
	"a@ := [o | some o in c.value.options; o != \"rw\"]\n\tcount(a@) > 0", "b@ := {o: i | some i, o in c.owners}\n\tcount(b@) > 1",
	`1 / (count(c.key) - 9) > 0`, `to_number(c.key) > 1`, "walk(c, [p@, w@])\n\tcount(p@) == 2\n\tis_string(w@)",
	"n@ := f(c.key)\n\tn@ != \"etc\"", `f(c.key, "etc")`, `g(c.op, ["add", "remove"]) != "else"`, `h(c.key)`, `keys[c.key]`, `7 in numbers`,
	`ops[c.key] == "add"`, `nested[c.field][_][c.key]`, "some k@, v@ in nested.mount\n\tcount(v@) > 1", `one == c.key`, `name == "none"`, `first`,
	`not first`, `table[c.op] == 1`, `table[c.op][1].x == 3`, `[x@, {"x": y@}] = table[c.op]`, "some x@ in table.replace\n\tx@ > 4",
	`ops[c.key] == "add" with input as {"changes": {"mount": [{"key": c.key, "op": "add", "field": "mount"}]}}`,
	`name == "other" with input.pod.name as "other"`, `f(c.key) == 3 with data.nri.policies.p.f as 3`, `count(c.key) == 5 with count as 5`,
	`input.operation == "CreateContainer"`, `input.pod.labels[l@] == c.op`, `c.value.type in {"bind", "tmpfs"}`, `sprintf("%v", [c.value]) != ""`,
	`json.unmarshal(c.key)`, `object.get(c, ["value", "type"], "none") == "none"`, `[h@, t@] = split(c.key, "/")`, `c.container == input.container.id`,
	`not nested.mount.add[c.key]`, `count([1 | some d in input.changes[_]; d.key == c.key]) == 1`, `min([o | some o in keys]) == c.key`,
	"q@ := {x | some x in keys; startswith(x, c.op)}\n\tq@ != set()", `{"op": c.op, "k": k@} = {"op": "add", "k": c.key}`, `data.nri.policies.p.ops[r@] == c.op`,
	`concat("/", [c.key, c.op]) != ""`, `{c.key, c.op} & keys != set()`, `input.changes[fd@][_].id == c.id`, `c.value.major > 3`, `regex.match(c.key, "x")`,
}

var starts = []string{"some c in input.changes.mount", "some c in input.changes[_]", "some _, c in input.changes.env", "c := input.changes.mount[_]",
	"some c in input.changes.device", "some c in input.changes.annotation"}

// generate writes a policy.
func generate(rng *rand.Rand) string {
	var text strings.Builder
	text.WriteString(helpers)
	n := 0
	for range 1 + rng.IntN(3) {
		body := []string{starts[rng.IntN(len(starts))]}
		for range 1 + rng.IntN(4) {
			n++
			body = append(body, strings.ReplaceAll(lines[rng.IntN(len(lines))], "@", fmt.Sprint(n)))
		}
		if rng.IntN(3) == 0 { // an order that the compiler has to change
			slices.Reverse(body[1:])
		}
		fmt.Fprintf(&text, "\ndeny contains {\"change\": c.id} if {\n\t%s\n}\n", strings.Join(body, "\n\t"))
	}
	return text.String()
}

// written loads a generated policy; false where it cannot be, because of its types.
func written(tb testing.TB, rng *rand.Rand) (*Program, string, bool) {
	tb.Helper()
	text := generate(rng)
	p, err := Load(context.Background(), Sources{Library: library(text)})
	if err != nil && strings.Contains(err.Error(), "cannot be evaluated") {
		tb.Fatalf("%v:\n%s", err, text)
	}
	return p, text, err == nil
}

func TestOracleGenerated(t *testing.T) {
	loaded := 0
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 4))
		p, text, ok := written(t, rng)
		if !ok {
			continue
		}
		loaded++
		for _, r := range requests(3) {
			agreeToFail(t, p, r)
		}
		if t.Failed() {
			t.Fatal(text)
		}
	}
	if loaded < 30 {
		t.Errorf("only %d policies could be loaded", loaded)
	}
}

func FuzzOracle(f *testing.F) {
	library, err := Load(context.Background(), Sources{Library: policies.FS})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		rng := rand.New(rand.NewPCG(a, b))
		r := reviewtest.Random(rng)
		agree(t, library, r)
		if p, text, ok := written(t, rng); ok {
			defer func() {
				if t.Failed() {
					t.Log(text)
				}
			}()
			agreeToFail(t, p, r)
		}
	})
}
