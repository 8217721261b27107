package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
)

// pulse tells whether the guard is alive: whether the policies in force still decide
// in time. It has them decide on a container without any change; what they say of it
// does not matter, and it is not recorded.
type pulse struct {
	engine *engine.Engine

	mu sync.Mutex
	// beat is the last try, nil before the first.
	beat *beat
}

// beat is one try.
type beat struct {
	start time.Time
	done  chan struct{}
	err   error // once done
}

// fresh is how long the outcome of a try stands, so that it costs little however often
// it is asked for.
const fresh = time.Second

// check returns why the guard is of no use any more, nil while it is. It takes no
// longer than twice the time of a decision.
func (p *pulse) check(ctx context.Context) error {
	limit := 2 * cmp.Or(p.engine.Rules().Timeout, engine.DefaultTimeout)
	b := p.try()
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(time.Until(b.start.Add(limit))):
		return fmt.Errorf("no decision since %s", time.Since(b.start).Round(time.Millisecond))
	}
}

// try begins a try, unless one is under way or has just ended.
func (p *pulse) try() *beat {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.beat != nil && (!p.beat.ended() || time.Since(p.beat.start) < fresh) {
		return p.beat
	}
	b := &beat{start: time.Now(), done: make(chan struct{})}
	p.beat = b
	rules := p.engine.Rules()
	rules.Recorder = nil
	go func() {
		defer close(b.done)
		b.err = decides(rules)
	}()
	return b
}

func (b *beat) ended() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// decides says whether the rules decide in time.
func decides(rules engine.Rules) error {
	if rules.Policies == nil {
		return errors.New("no policies are loaded")
	}
	limit := cmp.Or(rules.Timeout, engine.DefaultTimeout)
	d := engine.New(rules).Decide(context.Background(), &engine.Review{
		Version: engine.Version, Operation: engine.CreateContainer, Pod: &api.PodSandbox{}, Container: &api.Container{},
	})
	if d.Duration > limit {
		return fmt.Errorf("a decision took %s, with %s allowed", d.Duration.Round(time.Millisecond), limit)
	}
	return nil
}
