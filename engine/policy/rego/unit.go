package rego

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
)

// TestOptions say which tests are run, and how.
type TestOptions struct {
	// Library runs the library's tests too.
	Library bool
	// Run is a regular expression for the full names of tests; empty is all.
	Run string
	// Timeout of each test; 0 is 5 s.
	Timeout time.Duration
	// Coverage has the report say which lines were evaluated.
	Coverage bool
}

const defaultTestTimeout = 5 * time.Second

// Outcome is how a test ended.
type Outcome string

// The outcomes. A test is skipped whose name begins with todo_.
const (
	Pass  Outcome = "pass"
	Fail  Outcome = "fail"
	Error Outcome = "error"
	Skip  Outcome = "skip"
)

// TestResult is one test.
type TestResult struct {
	// Name is the full name: data.nri.policies.hooks_test.test_deny.
	Name    string  `json:"name"`
	File    string  `json:"file"`
	Line    int     `json:"line"`
	Outcome Outcome `json:"outcome"`
	// Failed are the cases that failed, of a test that has cases.
	Failed []string `json:"failed,omitempty"`
	Error  string   `json:"error,omitempty"`
	// Output is what the test printed.
	Output   string        `json:"output,omitempty"`
	Duration time.Duration `json:"duration"`
}

// TestReport is what [Test] found.
type TestReport struct {
	// Tests are sorted by file and line.
	Tests    []TestResult `json:"tests"`
	Coverage *Coverage    `json:"coverage,omitempty"`
}

// Passed says whether there was a test, and none failed.
func (r *TestReport) Passed() bool {
	return len(r.Tests) > 0 && !slices.ContainsFunc(r.Tests, func(t TestResult) bool {
		return t.Outcome == Fail || t.Outcome == Error
	})
}

// Test runs the tests beside policies, the rules test_... in files _test.rego,
// together with the policies as [Load] loads them. The error is that of Load, or
// about the tests themselves. A builtin error fails a test, as it would a decision.
func Test(ctx context.Context, s Sources, o TestOptions) (*TestReport, error) {
	if _, err := regexp.Compile(o.Run); err != nil {
		return nil, fmt.Errorf("which tests to run: %w", err)
	}
	p := &problems{}
	program, modules := load(ctx, s, p)
	if err := p.err(); err != nil {
		return nil, err
	}
	modules = slices.DeleteFunc(modules, func(m *module) bool { return m.test() && m.origin.library && !o.Library })
	u := &unit{program: program, modules: modules, options: o, coverage: cover.New()}
	results, err := u.run(ctx)
	if err != nil {
		p.ast("tests", err)
		return nil, p.err()
	}
	report := &TestReport{Tests: results}
	if o.Coverage {
		report.Coverage = u.covered()
	}
	return report, nil
}

// unit is a run of tests.
type unit struct {
	program  *Program
	modules  []*module
	options  TestOptions
	coverage *cover.Cover
}

func (u *unit) run(ctx context.Context) ([]TestResult, error) {
	compiler, err := newCompiler(u.program.data, true)
	if err != nil {
		return nil, err
	}
	store := inmem.NewFromASTObject(u.program.data)
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Abort(ctx, txn)
	runner := tester.NewRunner().
		SetCompiler(compiler).
		SetStore(store).
		SetModules(parsed(u.modules, true)).
		SetTimeout(cmp.Or(u.options.Timeout, defaultTestTimeout)).
		SetDefaultRegoVersion(ast.RegoV1).
		RaiseBuiltinErrors(true).
		Filter(u.options.Run)
	if u.options.Coverage {
		runner.SetCoverageQueryTracer(u.coverage).SetCoverageRuns([]cover.Kind{cover.KindIndexExcluded})
	}
	running, err := runner.RunTests(ctx, txn)
	if err != nil {
		return nil, err
	}
	var results []TestResult
	for r := range running {
		results = append(results, testResult(r))
	}
	slices.SortFunc(results, func(a, b TestResult) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Name, b.Name))
	})
	return results, context.Cause(ctx)
}

func testResult(r *tester.Result) TestResult {
	t := TestResult{Name: r.Package + "." + r.Name, File: r.Location.File, Line: r.Location.Row,
		Outcome: Pass, Output: string(r.Output), Duration: r.Duration}
	switch {
	case r.Skip:
		t.Outcome = Skip
	case r.Error != nil:
		t.Outcome, t.Error = Error, r.Error.Error()
	case r.Fail:
		t.Outcome = Fail
	}
	for path, sub := range r.SubResults.Iter {
		if sub.Fail {
			t.Failed = append(t.Failed, strings.Join(path, "/"))
		}
	}
	slices.Sort(t.Failed)
	return t
}
