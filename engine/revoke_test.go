package engine_test

import (
	"context"
	"errors"
	"fmt"
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
