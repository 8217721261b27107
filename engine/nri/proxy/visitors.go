package proxy

import (
	"context"
	"errors"
	"slices"
	"sync"
)

const (
	// maxSilent is how many connections of one process may be open before they
	// register.
	maxSilent = 4
	// processShare is the part of all connections that one process may have.
	processShare = 4
)

// visitors are the connections that there are. Those that have not registered make
// room for others, the oldest first: a process that says nothing on many of them
// keeps nobody else from registering.
type visitors struct {
	max int

	mu  sync.Mutex
	all []*visitor // oldest first
}

// visitor is one connection.
type visitor struct {
	pid int // 0 where it is not known
	// settled is set when it has registered, or been sent away.
	settled, sent bool
	// away ends the connection.
	away context.CancelCauseFunc
}

var (
	errOvertaken   = errors.New("it did not register, and others want to connect")
	errFull        = errors.New("there are too many connections")
	errProcessFull = errors.New("its process has too many connections")
)

// enter lets a connection of a process in; it may have another one sent away for
// that.
func (v *visitors) enter(pid int, away context.CancelCauseFunc) (*visitor, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	here, silent := v.count(func(*visitor) bool { return true })
	own, ownSilent := v.count(func(o *visitor) bool { return pid != 0 && o.pid == pid })
	switch {
	case len(v.all) >= 2*v.max: // those who were sent away are there for a moment still
		return nil, errFull
	case len(ownSilent) >= maxSilent:
		ownSilent[0].send()
	case own >= max(maxSilent, v.max/processShare):
		return nil, errProcessFull
	case here < v.max:
	case len(silent) > 0:
		silent[0].send()
	default:
		return nil, errFull
	}
	n := &visitor{pid: pid, away: away}
	v.all = append(v.all, n)
	return n, nil
}

// count returns how many visitors there are of a kind, and those that have not
// registered.
func (v *visitors) count(kind func(*visitor) bool) (here int, silent []*visitor) {
	for _, o := range v.all {
		if o.sent || !kind(o) {
			continue
		}
		here++
		if !o.settled {
			silent = append(silent, o)
		}
	}
	return here, silent
}

// send sends a visitor away.
func (n *visitor) send() {
	n.sent = true
	n.away(errOvertaken)
}

// settle keeps a visitor, who is nil for plugins that the proxy started, from being
// sent away.
func (v *visitors) settle(n *visitor) {
	if n == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	n.settled = true
}

// leave makes room.
func (v *visitors) leave(n *visitor) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if i := slices.Index(v.all, n); i >= 0 {
		v.all = slices.Delete(v.all, i, i+1)
	}
}
