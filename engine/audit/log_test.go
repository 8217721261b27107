package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/audit"
	"github.com/nri-guard/nri-guard/engine/document"
)

var plugin = engine.Plugin{Name: "injector", Index: "10"}

func review() *engine.Review {
	return &engine.Review{
		Version:   engine.Version,
		Operation: engine.CreateContainer,
		Runtime:   engine.Runtime{Name: "test", Version: "1"},
		Plugins:   []engine.Plugin{plugin},
		Pod:       &api.PodSandbox{Name: "web", Namespace: "default"},
		Container: &api.Container{Id: "c1", Env: []string{"TOKEN=secret-token", "LANG=C"}},
		Changes: []*engine.Change{
			{ID: "env:API_KEY", Op: engine.Add, Field: engine.Env, Key: "API_KEY", Value: "secret-key", Plugin: plugin, Container: "c1"},
			{ID: "mount:/data", Op: engine.Add, Field: engine.MountPoint, Key: "/data", Container: "c1", Granted: true,
				Value: &engine.Mount{Type: "bind", Source: "/srv", ResolvedSource: "/srv"}},
		},
	}
}

func decision(r *engine.Review) *engine.Decision {
	return &engine.Decision{
		ID:         "0d5c2a52-6a4c-4a38-9b3f-8a9c74b1f1d2",
		Time:       time.Date(2024, 2, 3, 4, 5, 6, 7000, time.UTC),
		Duration:   1500 * time.Nanosecond,
		Allowed:    true,
		Revision:   "r1",
		Violations: []engine.Violation{{Policy: "no_env", Message: "no <env>", Change: "env:API_KEY", Field: engine.Env, Key: "API_KEY", Enforcement: engine.Strip}},
		Stripped:   r.Changes[:1],
		Exempted:   []engine.Exempted{{Policy: "writable_mounts", Namespace: "default", Message: "writable"}},
		Costs:      []engine.Cost{{Policy: "no_env", Fuel: 1234}},
	}
}

func TestRecord(t *testing.T) {
	r := review()
	r.Malformed = []string{"it is odd"}
	var out bytes.Buffer
	log, err := audit.NewWriter(&out, audit.Config{Labels: map[string]string{"node": "n1"}, Unmask: []string{"LANG"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Record(t.Context(), r, decision(r)); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 1 || !strings.HasSuffix(out.String(), "\n") {
		t.Errorf("%d newlines, want one at the end", n)
	}
	if strings.Contains(out.String(), "secret") {
		t.Errorf("a secret is in the log: %s", out.String())
	}
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	input := line["input"].(map[string]any)
	delete(line, "input")
	want := map[string]any{
		"labels":      map[string]any{"node": "n1"},
		"decision_id": "0d5c2a52-6a4c-4a38-9b3f-8a9c74b1f1d2",
		"timestamp":   "2024-02-03T04:05:06.000007Z",
		"revision":    "r1",
		"result": map[string]any{
			"allowed": true,
			"violations": []any{map[string]any{"policy": "no_env", "message": "no <env>", "plugin": "",
				"change": "env:API_KEY", "field": "env", "key": "API_KEY", "enforcement": "strip"}},
			"warnings": []any{},
			"failures": []any{},
			"stripped": []any{map[string]any{"id": "env:API_KEY", "op": "add", "field": "env", "key": "API_KEY",
				"value": "***", "old": "", "plugin": map[string]any{"name": "injector", "index": "10"},
				"owners": []any{}, "container": "c1", "granted": false}},
			"exempted": []any{map[string]any{"policy": "writable_mounts", "namespace": "default", "message": "writable"}},
			"costs":    []any{map[string]any{"policy": "no_env", "fuel": 1234.0}},
			"revision": "r1",
		},
		"masked":    []any{"/input/changes/env", "/input/container/env"},
		"metrics":   map[string]any{"timer_decision_ns": 1500.0},
		"operation": "CreateContainer",
		"plugin":    "",
		"plugins":   []any{"10-injector"},
		"granted":   []any{"mount:/data"},
		"malformed": []any{"it is odd"},
	}
	if diff := cmp.Diff(want, line); diff != "" {
		t.Error(diff)
	}
	env := input["container"].(map[string]any)["env"]
	if diff := cmp.Diff([]any{"TOKEN=***", "LANG=C"}, env); diff != "" {
		t.Error(diff)
	}
}

// TestLongLines: what would push everything else out of the log is written in outline,
// and denied.
func TestLongLines(t *testing.T) {
	long := strings.Repeat("\x01", 4<<20)
	var out bytes.Buffer
	log, err := audit.NewWriter(&out, audit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	guard := engine.New(engine.Rules{Recorder: log, Policies: allows{}})
	for name, change := range map[string]*engine.Change{
		"key":   {ID: "1", Field: engine.MountPoint, Key: long, Value: &engine.Mount{}},
		"value": {ID: "1", Field: engine.Annotation, Key: "a", Value: long},
		"id":    {ID: long, Field: engine.Annotation, Key: "a", Value: "b"},
	} {
		out.Reset()
		r := review()
		r.Changes = []*engine.Change{change}
		d := guard.Decide(t.Context(), r)
		if got := d.Err(r.Operation); d.Allowed || !strings.Contains(got.Error(), "the decision could not be recorded: decision log: its line would have more than 4 MiB") {
			t.Errorf("%s: %v", name, got)
		}
		var line struct {
			ID     string `json:"decision_id"`
			Result struct {
				Allowed  bool
				Failures []engine.Failure
			}
			Plugins, Malformed []string
			Input              json.RawMessage
		}
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.Result.Allowed || len(line.Result.Failures) != 1 || line.ID != d.ID || out.Len() > 64<<10 ||
			!strings.HasPrefix(line.Malformed[0], "this is not all that was asked for") || line.Plugins[0] != "10-injector" {
			t.Errorf("%s: %d bytes, %+v", name, out.Len(), line)
		}
		short, err := document.Unmarshal(line.Input)
		if err != nil || short.Pod.GetName() != "web" || short.Container.GetId() != "c1" {
			t.Errorf("%s: %v %v", name, short, err)
		}
	}
}

// allows is policies that object to nothing.
type allows struct{}

func (allows) Judge(context.Context, *engine.Review) engine.Verdict { return engine.Verdict{} }
func (allows) Revision() string                                     { return "r1" }

// TestReplay gives the input of a line back to the document package.
func TestReplay(t *testing.T) {
	r := review()
	var out bytes.Buffer
	log, err := audit.NewWriter(&out, audit.Config{Unmask: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Record(t.Context(), r, &engine.Decision{}); err != nil {
		t.Fatal(err)
	}
	var line struct {
		Input  json.RawMessage
		Masked []string
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line.Masked != nil {
		t.Errorf("masked: %v", line.Masked)
	}
	again, err := document.Unmarshal(line.Input)
	if err != nil {
		t.Fatal(err)
	}
	first, err := document.Marshal(r, document.Options{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := document.Marshal(again, document.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(first), string(second)); diff != "" {
		t.Error(diff)
	}
}

// TestEmptyLists: whoever reads the log need not tell null from nothing.
func TestEmptyLists(t *testing.T) {
	var out bytes.Buffer
	log, err := audit.NewWriter(&out, audit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Record(t.Context(), &engine.Review{}, &engine.Decision{}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "null") {
		t.Error(out.String())
	}
}

func TestConcurrentRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "decisions.ndjson")
	log, err := audit.New(audit.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 8, 25
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			r := review()
			for i := range each {
				d := decision(r)
				d.ID = fmt.Sprintf("%d-%d", w, i)
				if err := log.Record(t.Context(), r, d); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	seen := map[string]bool{}
	for _, line := range readLines(t, path) {
		var e struct {
			ID string `json:"decision_id"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		seen[e.ID] = true
	}
	if len(seen) != writers*each {
		t.Errorf("%d decisions in the log, want %d", len(seen), writers*each)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestClose(t *testing.T) {
	log, err := audit.New(audit.Config{Path: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := log.Record(t.Context(), review(), &engine.Decision{}); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("got %v, want %v", err, audit.ErrClosed)
	}
}

// TestEngineDenies: a log that cannot be written makes the engine deny.
func TestEngineDenies(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close() //nolint:errcheck // nothing is in it
	log, err := audit.NewWriter(full, audit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	d := engine.New(engine.Rules{Policies: allow{}, Recorder: log}).Decide(t.Context(), review())
	want := "nri-guard denied CreateContainer: the decision could not be recorded: decision log: write /dev/full: no space left on device"
	if err := d.Err(engine.CreateContainer); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func readLines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// TestWith: a log with other labels goes on in the same file, and ends with it.
func TestWith(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	first := newLog(t, audit.Config{Path: path, Labels: map[string]string{"n": "1"}})
	second, err := first.With(audit.Config{Labels: map[string]string{"n": "2"}, Unmask: []string{"API_*"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, log := range []*audit.Log{first, second, first} {
		if err := log.Record(t.Context(), review(), decision(review())); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, line := range readLines(t, path) {
		got = append(got, fmt.Sprint(line[:len(`{"labels":{"n":"1"}`)], " ", strings.Contains(line, "secret-key")))
	}
	want := []string{`{"labels":{"n":"1"} false`, `{"labels":{"n":"2"} true`, `{"labels":{"n":"1"} false`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := record(t, second, "late"); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("closed, and it takes a decision: %v", err)
	}
	if _, err := first.With(audit.Config{Unmask: []string{"["}}); err == nil || !strings.Contains(err.Error(), `decision log: unmask[0]: pattern "["`) {
		t.Errorf("a bad pattern: %v", err)
	}
}
