package main

import (
	"context"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/engine"
)

// judging is a set of policies made of a function.
type judging func(context.Context)

func (j judging) Judge(ctx context.Context, _ *engine.Review) engine.Verdict {
	j(ctx)
	return engine.Verdict{}
}

func (j judging) Revision() string { return "r" }

// unrecordable fails the test when something is recorded.
type unrecordable struct{ t *testing.T }

func (u unrecordable) Record(context.Context, *engine.Review, *engine.Decision) error {
	u.t.Error("it is in the decision log")
	return nil
}

func TestPulse(t *testing.T) {
	hung := make(chan struct{})
	defer close(hung)
	for name, c := range map[string]struct {
		policies engine.Policies
		want     string // a pattern; "" is alive
	}{
		"alive":       {judging(func(context.Context) {}), ""},
		"no policies": {nil, "^no policies are loaded$"},
		// On a busy machine it may be so late that it is given up.
		"late":                {judging(func(ctx context.Context) { <-ctx.Done() }), "^(a decision took|no decision since) "},
		"hung":                {judging(func(context.Context) { <-hung }), "^no decision since "},
		"a policy that fails": {judging(func(context.Context) { panic("boom") }), ""},
	} {
		t.Run(name, func(t *testing.T) {
			timeout := 50 * time.Millisecond
			if c.want == "" {
				timeout = time.Minute
			}
			p := &pulse{engine: engine.New(engine.Rules{Policies: c.policies, Timeout: timeout, Recorder: unrecordable{t}})}
			err := p.check(t.Context())
			if got := errorText(err); !regexp.MustCompile(c.want).MatchString(got) || c.want == "" && got != "" {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestPulseIsTakenOnce: however often one asks, there is one try at a time.
func TestPulseIsTakenOnce(t *testing.T) {
	var tries atomic.Int64
	begun, hung := make(chan struct{}, 100), make(chan struct{})
	p := &pulse{engine: engine.New(engine.Rules{Timeout: time.Minute, Policies: judging(func(context.Context) {
		tries.Add(1)
		begun <- struct{}{}
		<-hung
	})})}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if err := p.check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.check(ctx); err == nil {
		t.Error("who does not wait any more gets an answer")
	}
	close(hung)
	all.Wait()
	if n := tries.Load(); n > 2 { // the first may be older than a second by now
		t.Errorf("%d tries", n)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
