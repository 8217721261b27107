package nri_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
)

// blocked is a recorder, policies and a review that wait where they are told to.
type blocked struct {
	at      string
	release chan struct{}
	records chan string
}

func (b blocked) wait(at string) {
	if b.at == at {
		<-b.release
	}
}

func (b blocked) Judge(context.Context, *engine.Review) engine.Verdict {
	b.wait("policies")
	return engine.Verdict{}
}

func (blocked) Revision() string { return "r" }

func (b blocked) Record(_ context.Context, _ *engine.Review, d *engine.Decision) error {
	b.wait("recorder")
	b.records <- fmt.Sprint(d.ID, " ", d.Allowed, " ", strings.Join(d.Reasons(), "; "))
	return nil
}

// promptly returns whatever decision there is first; there is one alone.
func promptly(ctx context.Context, j *nri.Judge, build func(*nri.Border) *engine.Review) *engine.Decision {
	decisions := make(chan *engine.Decision, 1)
	answer := func(d *engine.Decision) { decisions <- d }
	go func() {
		if d := j.DecidePromptly(ctx, engine.CreateContainer, build, answer); d != nil {
			answer(d)
		}
	}()
	return <-decisions
}

// TestDecidePromptly answers in time whatever takes too long, and what is recorded in
// the end is what was answered.
func TestDecidePromptly(t *testing.T) {
	const late = "the decision was not made in time"
	for at, want := range map[string][]string{
		"review":   {"false " + late},
		"policies": {"false " + late},
		"recorder": {"true ", "false " + late},
		"nowhere":  {"true "},
	} {
		t.Run(at, func(t *testing.T) {
			b := blocked{at: at, release: make(chan struct{}), records: make(chan string, 3)}
			j := nri.NewJudge(engine.New(engine.Rules{Policies: b, Recorder: b, Timeout: time.Minute}), nri.Border{})
			wait := 400 * time.Millisecond
			if at == "nowhere" {
				wait = time.Minute
			}
			j.Configure(&api.ConfigureRequest{RequestTimeout: wait.Milliseconds()})
			d := promptly(t.Context(), j, func(border *nri.Border) *engine.Review {
				b.wait("review")
				return border.Adjustment(&api.ValidateContainerAdjustmentRequest{})
			})
			if reasons := strings.Join(d.Reasons(), ""); d.Allowed != (at == "nowhere") || !d.Allowed && !strings.Contains(reasons, "the runtime waits no longer than 400ms") {
				t.Errorf("allowed %v, reasons %q", d.Allowed, reasons)
			}
			close(b.release)
			var ids []string
			for i, want := range want {
				id, got, _ := strings.Cut(<-b.records, " ")
				if !strings.HasPrefix(got, want) {
					t.Errorf("record %d is %q, want %q", i, got, want)
				}
				ids = append(ids, id)
			}
			if len(slices.Compact(ids)) != 1 {
				t.Errorf("recorded under %q", ids)
			}
		})
	}
}

// TestDecidePromptlyByADeadline that is nearer than the runtime's.
func TestDecidePromptlyByADeadline(t *testing.T) {
	b := blocked{at: "policies", release: make(chan struct{}), records: make(chan string, 3)}
	defer close(b.release)
	j := nri.NewJudge(engine.New(engine.Rules{Policies: b, Timeout: time.Minute}), nri.Border{})
	j.Configure(&api.ConfigureRequest{RequestTimeout: time.Hour.Milliseconds()})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	d := promptly(ctx, j, func(border *nri.Border) *engine.Review {
		return border.Adjustment(&api.ValidateContainerAdjustmentRequest{})
	})
	if d.Allowed {
		t.Error("allowed")
	}
}
