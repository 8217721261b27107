package engine_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/engine"
)

// slowRecorder takes until it is let go, and writes nevertheless.
type slowRecorder struct {
	release chan struct{}
	fails   error
	mu      sync.Mutex
	ids     []string
	lines   []string
}

func (s *slowRecorder) Record(_ context.Context, _ *engine.Review, d *engine.Decision) error {
	<-s.release
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids = append(s.ids, d.ID)
	s.lines = append(s.lines, fmt.Sprint(d.Allowed, " ", strings.Join(d.Reasons(), "; ")))
	return s.fails
}

func (s *slowRecorder) recorded() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines)
}

// TestLateRecords: what the log has last is what came of it.
func TestLateRecords(t *testing.T) {
	const late = "false the decision could not be recorded in time"
	for name, c := range map[string]struct {
		rules engine.Rules
		fails error
		want  []string
	}{
		"allowed":                 {want: []string{"true ", late}},
		"denied":                  {rules: engine.Rules{Policies: objecting{}}, want: []string{"false p: no"}},
		"not written after all":   {fails: errors.New("disk full"), want: []string{"true "}},
		"it need not be recorded": {rules: engine.Rules{RecordBestEffort: true}, want: []string{"true "}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &slowRecorder{release: make(chan struct{}), fails: c.fails}
			c.rules.Recorder, c.rules.Timeout = s, 50*time.Millisecond
			if c.rules.Policies == nil {
				c.rules.Policies = silent{}
			}
			d := engine.New(c.rules).Decide(t.Context(), &engine.Review{Operation: engine.CreateContainer})
			if d.Allowed != c.rules.RecordBestEffort {
				t.Errorf("allowed: %v", d.Allowed)
			}
			close(s.release)
			for end := time.Now().Add(20 * time.Second); len(s.recorded()) < len(c.want) && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			if got := s.recorded(); !slices.Equal(got, c.want) || len(slices.Compact(s.ids)) != 1 {
				t.Errorf("recorded %q under %q, want %q under one id", got, s.ids, c.want)
			}
		})
	}
}

type silent struct{}

func (silent) Judge(context.Context, *engine.Review) engine.Verdict { return engine.Verdict{} }
func (silent) Revision() string                                     { return "r" }

type objecting struct{}

func (objecting) Judge(context.Context, *engine.Review) engine.Verdict {
	return engine.Verdict{Violations: []engine.Violation{{Policy: "p", Message: "no"}}}
}
func (objecting) Revision() string { return "r" }

// stuck is a recorder that writes to something that does not answer.
type stuck struct{}

func (stuck) Record(ctx context.Context, _ *engine.Review, _ *engine.Decision) error {
	<-ctx.Done()
	select {} // not even then
}

func TestRecorderThatHangs(t *testing.T) {
	rules := engine.Rules{Policies: says(engine.Verdict{}), Recorder: stuck{}, Timeout: 20 * time.Millisecond}
	d := engine.New(rules).Decide(t.Context(), review())
	want := "the decision could not be recorded: it was not written in time: context deadline exceeded"
	if d.Allowed || d.Approved != nil || len(d.Failures) != 1 || d.Failures[0].Message != want {
		t.Errorf("decision %+v", d)
	}
	rules.RecordBestEffort = true
	if d := engine.New(rules).Decide(t.Context(), review()); !d.Allowed {
		t.Errorf("best effort: %v", d.Reasons())
	}
}

// TestUnwatched: where nobody watches the time, a decision is made by the goroutine that
// asks, and what is recorded too late is a denial all the same.
func TestUnwatched(t *testing.T) {
	here := goroutine()
	if there := make(chan string); true {
		go func() { there <- goroutine() }()
		if <-there == here {
			t.Fatal("goroutines cannot be told apart")
		}
	}
	var by []string
	var failure error
	kept := &recorder{do: func() error {
		by = append(by, goroutine())
		time.Sleep(30 * time.Millisecond)
		return failure
	}}
	rules := engine.Rules{Timeout: 10 * time.Millisecond, Recorder: kept, Policies: judge(func(ctx context.Context, _ *engine.Review) engine.Verdict {
		by = append(by, goroutine())
		if !engine.Unwatched(ctx) {
			t.Error("policies do not know")
		}
		return engine.Verdict{}
	})}
	d := engine.New(rules).Decide(engine.Unwatch(t.Context()), review())
	wantReasons(t, d, []string{"the decision could not be recorded: it was not written in time: context deadline exceeded"})
	if !slices.Equal(by, []string{here, here, here}) {
		t.Errorf("done by %v, want %s", by, here)
	}
	if len(kept.got) != 2 || !kept.got[0].Allowed || kept.got[1].Allowed || kept.got[1].ID != d.ID {
		t.Errorf("recorded %+v", kept.got)
	}
	failure = errors.New("nobody waits")
	d = engine.New(rules).Decide(engine.Unwatch(t.Context()), review())
	wantReasons(t, d, []string{"the decision could not be recorded: it was not written in time: nobody waits"})
	if len(kept.got) != 3 {
		t.Errorf("what was not written is written again: %+v", kept.got)
	}
	rules.RecordBestEffort = true
	if d := engine.New(rules).Decide(engine.Unwatch(t.Context()), review()); !d.Allowed {
		t.Errorf("best effort: %v", d.Reasons())
	}
}

// goroutine names the one that asks.
func goroutine() string {
	text := make([]byte, 32)
	name, _, _ := strings.Cut(string(text[:runtime.Stack(text, false)]), " [")
	return name
}
