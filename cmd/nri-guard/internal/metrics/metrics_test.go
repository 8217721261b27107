package metrics_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/metrics"
	"github.com/nri-guard/nri-guard/engine"
)

// recorder takes decisions until it has an error.
type recorder struct{ err error }

func (r recorder) Record(context.Context, *engine.Review, *engine.Decision) error { return r.err }

// judge says the same of everything.
type judge engine.Verdict

func (j judge) Judge(context.Context, *engine.Review) engine.Verdict { return engine.Verdict(j) }
func (j judge) Revision() string                                     { return "r1" }

// TestRecorder decides by an engine, and looks at what is counted.
func TestRecorder(t *testing.T) {
	objection := func(e engine.Enforcement) []engine.Violation {
		return []engine.Violation{{Policy: "p", Message: "m", Change: "env:A", Enforcement: e}}
	}
	full := errors.New("the disk is full")
	for name, c := range map[string]struct {
		says       judge
		malformed  []string
		next       engine.Recorder
		bestEffort bool
		want       []string
	}{
		"allowed": {want: []string{
			`decisions_total{operation="CreateContainer",outcome="allow",plugin="logger"} 1`}},
		"denied": {says: judge{Violations: objection(engine.Deny)}, want: []string{
			`decisions_total{operation="CreateContainer",outcome="deny",plugin="logger"} 1`,
			`violations_total{enforcement="deny",plugin="logger",policy="p"} 1`}},
		"audited": {says: judge{Violations: objection(engine.Audit)}, want: []string{
			`decisions_total{operation="CreateContainer",outcome="allow",plugin="logger"} 1`,
			`violations_total{enforcement="audit",plugin="logger",policy="p"} 1`}},
		"a failure": {says: judge{Failures: []engine.Failure{{Policy: "p", Message: "m"}}}, want: []string{
			`decisions_total{operation="CreateContainer",outcome="fail",plugin="logger"} 1`,
			`failures_total{policy="p"} 1`}},
		"an audited failure": {says: judge{Failures: []engine.Failure{{Policy: "p", Enforcement: engine.Audit}}}, want: []string{
			`decisions_total{operation="CreateContainer",outcome="allow",plugin="logger"} 1`,
			`failures_total{policy="p"} 1`}},
		"malformed": {malformed: []string{"no"}, want: []string{
			`decisions_total{operation="CreateContainer",outcome="fail",plugin="logger"} 1`,
			`failures_total{policy="-"} 1`}},
		"recorded": {next: recorder{}, want: []string{
			`decisions_total{operation="CreateContainer",outcome="allow",plugin="logger"} 1`}},
		"not recorded": {next: recorder{full}, want: []string{
			`decisions_total{operation="CreateContainer",outcome="fail",plugin="logger"} 1`,
			`failures_total{policy="-"} 1`,
			`unrecorded_total 1`}},
		"not recorded, which is taken": {next: recorder{full}, bestEffort: true, want: []string{
			`decisions_total{operation="CreateContainer",outcome="allow",plugin="logger"} 1`,
			`unrecorded_total 1`}},
	} {
		t.Run(name, func(t *testing.T) {
			m := metrics.New()
			e := engine.New(engine.Rules{Policies: c.says, Timeout: time.Minute,
				Recorder: m.Recorder(c.next, c.bestEffort), RecordBestEffort: c.bestEffort})
			logger := engine.Plugin{Name: "logger", Index: "10"}
			e.Decide(t.Context(), &engine.Review{Operation: engine.CreateContainer, Plugin: logger, Malformed: c.malformed,
				Changes: []*engine.Change{{ID: "env:A", Op: engine.Add, Field: engine.Env, Key: "A", Value: "1", Plugin: logger}}})
			got := scrape(t, m, "decisions_total", "violations_total", "failures_total", "unrecorded_total")
			got = slices.DeleteFunc(got, func(line string) bool { return line == "unrecorded_total 0" })
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if got := scrape(t, m, "decision_duration_seconds_count"); len(got) != 1 {
				t.Errorf("durations: %v", got)
			}
		})
	}
}

// slow takes its time for the first decision.
type slow struct{ told []bool }

func (s *slow) Record(ctx context.Context, _ *engine.Review, d *engine.Decision) error {
	if s.told = append(s.told, d.Allowed); len(s.told) == 1 {
		<-ctx.Done()
	}
	return nil
}

// TestLate: what is recorded too late counts once, as the denial that it becomes.
func TestLate(t *testing.T) {
	for _, ctx := range []context.Context{t.Context(), engine.Unwatch(t.Context())} {
		m, next := metrics.New(), &slow{}
		d := engine.New(engine.Rules{Policies: judge{}, Timeout: 20 * time.Millisecond, Recorder: m.Recorder(next, false)}).
			Decide(ctx, &engine.Review{Operation: engine.CreateContainer})
		if d.Allowed {
			t.Error("it is allowed")
		}
		want := []string{`decisions_total{operation="CreateContainer",outcome="fail",plugin="-"} 1`, `failures_total{policy="-"} 1`, `unrecorded_total 1`}
		var got []string
		for range 100 { // it is recorded when nobody waits any more
			if got = scrape(t, m, "decisions_total", "failures_total", "unrecorded_total"); slices.Equal(got, want) {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

// TestStripped: what was taken out is an outcome of its own; what an exemption lifted
// and what a module burnt is counted by policy.
func TestStripped(t *testing.T) {
	m := metrics.New()
	review := &engine.Review{Operation: engine.StopContainer}
	d := &engine.Decision{Allowed: true, Stripped: []*engine.Change{{}}, Exempted: []engine.Exempted{{Policy: "p"}},
		Costs: []engine.Cost{{Policy: "w", Fuel: 5000}}}
	if err := m.Recorder(nil, false).Record(t.Context(), review, d); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`decisions_total{operation="StopContainer",outcome="strip",plugin="-"} 1`,
		`exempted_total{policy="p"} 1`,
		`wasm_fuel_sum{policy="w"} 5000`,
	}
	if diff := cmp.Diff(want, scrape(t, m, "decisions_total", "exempted_total", "wasm_fuel_sum")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestNamesAreBounded registers plugins under ever new names, some of which are no
// text at all.
func TestNamesAreBounded(t *testing.T) {
	m := metrics.New()
	m.Loaded("r1", nil, []string{"trusted"}, time.Now())
	record := func(name string) {
		review := &engine.Review{Operation: engine.RegisterPlugin, Plugin: engine.Plugin{Name: name}}
		if err := m.Recorder(nil, false).Record(t.Context(), review, &engine.Decision{}); err != nil {
			t.Error(err)
		}
	}
	record("-") // NRI allows that
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() { record(fmt.Sprintf("p%d", i)) })
	}
	all.Wait()
	for _, name := range []string{"trusted", "\xff\xfe", "a\"b\n", strings.Repeat("x", 65), "(other)"} {
		record(name)
	}
	got := scrape(t, m, "decisions_total")
	if len(got) != 34 {
		t.Errorf("%d series, want 32 of plugins that nobody knows, one of trusted and one of all others", len(got))
	}
	for _, want := range []string{
		`decisions_total{operation="RegisterPlugin",outcome="deny",plugin="trusted"} 1`,
		`decisions_total{operation="RegisterPlugin",outcome="deny",plugin="(other)"} 973`,
	} {
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("no %s in\n%s", want, strings.Join(got, "\n"))
		}
	}
}

// TestReloads: a failed reload leaves the revision, and says so.
func TestReloads(t *testing.T) {
	m := metrics.New()
	m.Watch(func() metrics.State {
		return metrics.State{Ready: true, Connected: map[string]bool{"validator": true, "observer": false},
			Plugins: []string{"logger", "logger", "tuner"}}
	})
	load := func(revision string) {
		m.Loaded(revision, map[string]engine.Enforcement{"a": engine.Deny, "b": engine.Audit, "c": engine.Deny}, nil, time.Unix(1e9, 0))
	}
	families := []string{"reloads_total", "config_last_reload_successful", "policy_revision_info", "policies",
		"ready", "runtime_connected", "connected_plugins"}
	load("r1")
	m.Reloaded(false)
	want := []string{
		"config_last_reload_successful 0",
		`connected_plugins{plugin="logger"} 2`, `connected_plugins{plugin="tuner"} 1`,
		`policies{enforcement="audit"} 1`, `policies{enforcement="deny"} 2`,
		`policies{enforcement="off"} 0`, `policies{enforcement="strip"} 0`,
		`policy_revision_info{revision="r1"} 1`,
		"ready 1",
		`reloads_total{result="failure"} 1`, `reloads_total{result="success"} 0`,
		`runtime_connected{connection="observer"} 0`, `runtime_connected{connection="validator"} 1`,
	}
	if diff := cmp.Diff(want, scrape(t, m, families...)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	load("r2")
	m.Reloaded(true)
	want[0], want[7] = "config_last_reload_successful 1", `policy_revision_info{revision="r2"} 1`
	want[10] = `reloads_total{result="success"} 1`
	if diff := cmp.Diff(want, scrape(t, m, families...)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// scrape returns the lines of some families, sorted, and without the prefix of all
// names.
func scrape(t *testing.T, m *metrics.Metrics, families ...string) []string {
	t.Helper()
	all, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, f := range all {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	var lines []string
	for line := range strings.Lines(text.String()) {
		line, found := strings.CutPrefix(strings.TrimSpace(line), "nri_guard_")
		name, _, _ := strings.Cut(line, " ")
		name, _, _ = strings.Cut(name, "{")
		for _, f := range families {
			if found && name == f {
				lines = append(lines, line)
			}
		}
	}
	return lines
}
