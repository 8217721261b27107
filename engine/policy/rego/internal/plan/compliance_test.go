package plan_test

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/test/cases"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/nri-guard/nri-guard/engine/policy/rego/internal/plan"
)

// leastCases is how many of OPA's cases are run at least.
const leastCases = 4300

// TestCompliance runs OPA's own cases through plans and through topdown: the results
// are the same, errors included.
func TestCompliance(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/open-policy-agent/opa").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSpace(string(out)) + "/v1/test/cases/testdata"
	ran := 0
	left := map[string]int{}
	for version, rego := range map[string]ast.RegoVersion{"v0": ast.RegoV0, "v1": ast.RegoV1} {
		for _, c := range cases.MustLoad(dir + "/" + version).Sorted().Cases {
			t.Run(version+"/"+c.Note, func(t *testing.T) {
				if why := compare(t, c, rego); why != "" {
					left[why]++
					t.Skip(why)
				}
				ran++
			})
		}
	}
	t.Logf("%d cases ran; not: %v", ran, left)
	if ran < leastCases {
		t.Errorf("%d cases ran, at least %d should", ran, leastCases)
	}
}

// compare runs a case through both; it says why it does not.
func compare(t *testing.T, c cases.TestCase, version ast.RegoVersion) (why string) {
	for k, v := range c.Env {
		t.Setenv(k, v)
	}
	options := ast.ParserOptions{RegoVersion: version}
	if c.ExperimentalKeywords {
		options.Capabilities = ast.CapabilitiesForThisVersion(ast.CapabilitiesExperimentalKeywords(true))
	}
	modules := map[string]string{}
	for i, m := range c.Modules {
		modules[fmt.Sprintf("test-%d.rego", i)] = m
	}
	compiler, err := ast.CompileModulesWithOpt(modules, ast.CompileOpts{ParserOptions: options})
	switch {
	case err != nil && strings.Contains(err.Error(), "undefined function test.sleep"):
		return "only OPA's own tests have the builtin test.sleep"
	case err != nil:
		t.Fatal(err)
	}
	body, err := compiler.QueryCompiler().Compile(ast.MustParseBody(c.Query))
	if err != nil {
		t.Fatal(err)
	}
	documents := ast.NewObject()
	if c.Data != nil {
		documents = ast.MustInterfaceToValue(*c.Data).(ast.Object)
	}
	var input *ast.Term
	switch {
	case c.InputTerm != nil:
		input = ast.MustParseTerm(*c.InputTerm)
	case c.Input != nil:
		input = ast.NewTerm(ast.MustInterfaceToValue(*c.Input))
	}
	for _, name := range []string{"http.send", "rand.intn", "time.now_ns", "uuid.rfc4122", "net.lookup_ip_addr", "opa.runtime", "providers.aws"} {
		if slices.ContainsFunc(append(slices.Clone(c.Modules), c.Query), func(s string) bool { return strings.Contains(s, name) }) {
			return "not the same twice: " + name
		}
	}
	want, wantErr := byTopdown(compiler, documents, input, body)
	shown := []*ast.Term{input, parted(input), sparse(input)}
	p := plan.New(compiler, documents)
	q, err := p.Query(body)
	if err != nil {
		return err.Error()
	}
	for _, input := range shown {
		got, gotErr := run(p, q, input)
		if (wantErr == nil) != (gotErr == nil) || wantErr != nil && wantErr.Error() != gotErr.Error() {
			t.Fatalf("error %v, want %v", gotErr, wantErr)
		}
		if wantErr == nil && !slices.Equal(got, want) {
			t.Fatalf("got %v\nwant %v", got, want)
		}
	}
	return ""
}

// byTopdown evaluates strictly with OPA's interpreter.
func byTopdown(c *ast.Compiler, documents ast.Object, input *ast.Term, body ast.Body) ([]string, error) {
	ctx := context.Background()
	store := inmem.NewFromASTObject(documents)
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Abort(ctx, txn)
	var results []string
	err = topdown.NewQuery(body).WithCompiler(c).WithStore(store).WithTransaction(txn).WithInput(input).
		WithStrictBuiltinErrors(true).
		Iter(ctx, func(r topdown.QueryResult) error {
			results = append(results, show(r))
			return nil
		})
	return results, err
}

func run(p *plan.Program, q *plan.Query, input *ast.Term) ([]string, error) {
	deadline := time.Now().Add(10 * time.Second)
	var results []string
	e := p.Begin(context.Background(), input)
	defer e.End() // what it leaves behind must not show in the next
	err := q.Run(e, func() bool { return time.Now().After(deadline) }, func(r plan.Result) error {
		results = append(results, show(r.All()))
		return nil
	})
	return results, err
}

// module is one of a package t, and a query that has been planned for it.
type module struct {
	compiler *ast.Compiler
	body     ast.Body
	program  *plan.Program
	query    *plan.Query
}

func planned(t testing.TB, rules, query string) *module {
	t.Helper()
	compiler, err := ast.CompileModulesWithOpt(map[string]string{"t.rego": "package t\n\n" + rules}, ast.CompileOpts{})
	if err != nil {
		t.Fatal(err)
	}
	m := &module{compiler: compiler, program: plan.New(compiler, ast.NewObject())}
	if m.body, err = compiler.QueryCompiler().Compile(ast.MustParseBody(query)); err != nil {
		t.Fatal(err)
	}
	if m.query, err = m.program.Query(m.body); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *module) run(input *ast.Term) ([]string, error) { return run(m.program, m.query, input) }

func (m *module) byTopdown(input *ast.Term) ([]string, error) {
	return byTopdown(m.compiler, ast.NewObject(), input, m.body)
}

// show writes the variables that were not generated.
func show(r map[ast.Var]*ast.Term) string {
	var list []string
	for v, t := range r {
		if !v.IsGenerated() && !v.IsWildcard() && !strings.HasPrefix(string(v), "_") {
			list = append(list, fmt.Sprintf("%s=%v", v, t))
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}
