package proxy

import (
	"errors"
	"sync"
	"time"
)

// registrations bounds how many registrations are decided about: each is a line in the
// decision log, whatever comes of it. A process waits for itself first, then for its
// user and only then for everybody, so that many of one do not keep others waiting.
type registrations struct {
	// perSecond is for one process.
	perSecond int

	mu sync.Mutex
	by map[any]*pace
}

const (
	// userRate and overallRate are how many times as many a user may make, and everybody
	// together, and savedUp how many seconds' worth at once.
	userRate, overallRate, savedUp = 4, 16, 16
	// longestWait is how long one waits for each of these: what NRI's stub is built to
	// wait is longer than all together.
	longestWait = time.Second
	// manyPaces is how many are remembered before those are forgotten that need not be.
	manyPaces = 1024
)

// errTooOften refuses registrations that are not decided about.
var errTooOften = errors.New("there are too many registrations of this process, of its user or of all; try again later")

// whom it is that registrations are counted for, beside processes.
type (
	userOf   int64
	nameOf   string
	everyone struct{}
)

// wait waits until it is a registration's turn, or returns why it is not to be. The name
// is the plugin's where the configuration says whose that is, and it is the plugin's:
// then it has a pace of its own.
func (r *registrations) wait(who process, name string, pause func(time.Duration) error) error {
	type part struct {
		of    any
		times int
	}
	parts := []part{{who, 1}, {userOf(who.uid), userRate}, {everyone{}, overallRate}}
	switch {
	case name != "":
		parts = []part{{nameOf(name), 1}}
	case who.pid == 0:
		parts = parts[1:]
	}
	for _, p := range parts {
		d := r.delay(p.of, p.times*r.perSecond, time.Now())
		if d > longestWait {
			return errTooOften
		}
		if err := pause(d); err != nil {
			return err
		}
	}
	return nil
}

// delay takes one, unless that takes too long.
func (r *registrations) delay(of any, perSecond int, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.by[of]
	if p == nil {
		r.forget(now)
		p = &pace{perSecond: perSecond, burst: savedUp * perSecond}
		r.by[of] = p
	}
	d := p.delay(1, now)
	if d > longestWait {
		p.giveBack(1)
	}
	return d
}

// forget makes room for others.
func (r *registrations) forget(now time.Time) {
	if len(r.by) < manyPaces {
		return
	}
	for of, p := range r.by {
		if p.idle(now) {
			delete(r.by, of)
		}
	}
}
