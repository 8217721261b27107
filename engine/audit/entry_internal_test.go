package audit

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/document"
	"github.com/nri-guard/nri-guard/engine/internal/reviewtest"
)

// whole is a line of the log as encoding/json would write it.
type whole struct {
	Labels    map[string]string `json:"labels"`
	ID        string            `json:"decision_id"`
	Timestamp time.Time         `json:"timestamp"`
	Revision  string            `json:"revision"`
	Input     json.RawMessage   `json:"input"`
	Result    Result            `json:"result"`
	Masked    []string          `json:"masked,omitempty"`
	Metrics   struct {
		Decision int64 `json:"timer_decision_ns"`
	} `json:"metrics"`
	Operation engine.Operation `json:"operation"`
	Plugin    string           `json:"plugin"`
	Plugins   []string         `json:"plugins"`
	Granted   []string         `json:"granted"`
	Malformed []string         `json:"malformed,omitempty"`
}

func (f *form) whole(t *testing.T, c Config, r *engine.Review, d *engine.Decision) []byte {
	t.Helper()
	input, err := document.Marshal(r, document.Options{Mask: true, Unmask: c.Unmask})
	if err != nil {
		t.Fatal(err)
	}
	result, err := NewResult(d, c.Unmask)
	if err != nil {
		t.Fatal(err)
	}
	w := whole{Labels: c.Labels, ID: d.ID, Timestamp: d.Time, Revision: d.Revision, Input: input, Result: result,
		Masked: f.everyMasked(r), Operation: r.Operation, Plugin: r.Plugin.String(), Plugins: []string{}, Granted: []string{},
		Malformed: r.Malformed}
	w.Metrics.Decision = d.Duration.Nanoseconds()
	if w.Labels == nil {
		w.Labels = map[string]string{}
	}
	for _, p := range r.Plugins {
		w.Plugins = append(w.Plugins, p.String())
	}
	for _, change := range r.Changes {
		if change.Granted {
			w.Granted = append(w.Granted, change.ID)
		}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(w); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// everyMasked names the parts of the input that are masked, whatever they are.
func (f *form) everyMasked(r *engine.Review) []string {
	var parts []string
	if f.hides(r.Container.GetEnv()) {
		parts = append(parts, "/input/container/env")
	}
	hooks := r.Container.GetHooks()
	for _, h := range slices.Concat(hooks.GetPrestart(), hooks.GetCreateRuntime(), hooks.GetCreateContainer(),
		hooks.GetStartContainer(), hooks.GetPoststart(), hooks.GetPoststop()) {
		if f.hides(h.GetEnv()) {
			parts = append(parts, "/input/container/hooks")
		}
	}
	for _, change := range r.Changes {
		if change.Field == engine.Env && !engine.Unmasked(f.unmask, change.Key) || f.hidesHook(change.Value) || f.hidesHook(change.Old) {
			parts = append(parts, "/input/changes/"+string(change.Field))
		}
	}
	slices.Sort(parts)
	return slices.Compact(parts)
}

func decisions(i int, r *engine.Review) []*engine.Decision {
	odd := "<&> \u2029 \x00\n\xff\xff"
	return []*engine.Decision{
		{Allowed: true},
		{ID: "id", Allowed: true, Time: time.Unix(int64(i), 123456789).In(time.FixedZone("", 3600)), Revision: "r", Duration: -1},
		{ID: odd, Time: time.Unix(int64(i), 1).UTC(), Revision: `"}`, Stripped: r.Changes, Duration: time.Second,
			Violations: []engine.Violation{{Policy: "p", Message: odd}},
			Warnings:   []engine.Violation{{Policy: odd, Field: engine.Env, Key: "k"}, {Enforcement: engine.Audit}},
			Failures:   []engine.Failure{{Policy: "p", Message: odd, Enforcement: engine.Strip}},
			Exempted:   []engine.Exempted{{Policy: "p", Namespace: "n", Message: odd}},
			Costs:      []engine.Cost{{Policy: odd, Fuel: 1<<64 - 1}}},
	}
}

// TestLine: a line that is put together from its parts is what encoding/json makes of
// the whole, byte for byte.
func TestLine(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	reviews := []*engine.Review{{}, reviewtest.Reference(), reviewtest.Rich()}
	for range 200 {
		reviews = append(reviews, reviewtest.Random(rng))
	}
	reviews[2].Malformed = []string{"", "odd \"\t"}
	l := &line{}
	for _, c := range []Config{
		{},
		{Labels: map[string]string{"node": "a<b>&\u2028\"", "": "}\n"}, Unmask: []string{"*"}},
		{Labels: map[string]string{}, Unmask: []string{"A", "PA*"}},
	} {
		f, err := newForm(c)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range reviews {
			for _, d := range decisions(i, r) {
				if err := f.line(l, r, d); err != nil {
					t.Fatal(err)
				}
				if want := f.whole(t, c, r, d); !bytes.Equal(l.buf, want) {
					t.Fatalf("review %d is written as\n%s\nwant\n%s", i, l.buf, want)
				}
			}
		}
	}
}

// TestLineFails: what is too long is not written first, and a failure is not carried
// over to the next line.
func TestLineFails(t *testing.T) {
	f, l := &form{}, &line{}
	for _, d := range []*engine.Decision{
		{Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		{Stripped: []*engine.Change{{Field: "nothing"}}},
		{Stripped: slices.Repeat([]*engine.Change{{Field: engine.Annotation, Value: strings.Repeat("x", 1<<20)}}, 100)},
	} {
		if err := f.line(l, &engine.Review{}, d); err == nil || cap(l.buf) > 2*maxLine {
			t.Errorf("%d bytes, %v", cap(l.buf), err)
		}
		if err := f.line(l, &engine.Review{}, &engine.Decision{}); err != nil {
			t.Error(err)
		}
	}
}
