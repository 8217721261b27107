package proxy

import (
	"context"
	"runtime"
	"time"
)

// turn is held by a bounded number at a time.
type turn chan struct{}

// take waits for room. It says whether there was any before the context ended or
// those had gone who wanted something.
func (t turn) take(ctx context.Context, gone <-chan struct{}) bool {
	select {
	case t <- struct{}{}:
		return true
	default:
	}
	select {
	case t <- struct{}{}:
		return true
	case <-gone:
	case <-ctx.Done():
	}
	return false
}

func (t turn) release() { <-t }

// newTurn has one processor left for what the runtime waits for.
func newTurn() turn { return make(turn, max(1, runtime.GOMAXPROCS(0)-1)) }

// pace bounds how many updates a plugin may ask for by itself in the long run. It is
// for one at a time.
type pace struct {
	perSecond int
	saved     float64
	at        time.Time
}

// burst is how many updates a plugin may save up for, as many as there may be in
// one list.
const burst = 4096

// delay takes n updates, and returns how long to wait for them.
func (p *pace) delay(n int, now time.Time) time.Duration {
	if p.at.IsZero() {
		p.saved = burst
	} else {
		p.saved = min(burst, p.saved+now.Sub(p.at).Seconds()*float64(p.perSecond))
	}
	p.at = now
	p.saved -= float64(min(n, burst))
	if p.saved >= 0 {
		return 0
	}
	return time.Duration(-p.saved / float64(p.perSecond) * float64(time.Second))
}
