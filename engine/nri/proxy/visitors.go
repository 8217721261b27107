package proxy

import (
	"context"
	"errors"
	"slices"
	"sync"
)

const (
	// maxSilent is how many connections of one process may be open that say nothing, or
	// have been told that they are refused.
	maxSilent = 4
	// maxLeaving is how many of those that were sent away for newer ones may not have
	// gone yet when a newer one comes.
	maxLeaving = 2 * maxSilent
	// processShare and userShare are the parts of all connections that one process and
	// one user may have, and openShare the part that those who were let in leave to those
	// who want to be.
	processShare, userShare, openShare = 4, 2, 4
	// keptPlaces is how many plugins find room, however many connections there are, under
	// each name of which is configured whose it is: one, and one that takes over from it.
	keptPlaces = 2
)

// visitors are the connections that there are. Those that have not been let in make
// room for others, the oldest of whoever has most of them first: who says nothing on
// many of them, or is refused on many, keeps nobody else from registering.
type visitors struct {
	max int

	mu  sync.Mutex
	all []*visitor // oldest first
}

// visitor is one connection.
type visitor struct {
	process
	// asks is set while it is decided whether it is let in, settled when it has been, and
	// sent when it has been sent away.
	asks, settled, sent bool
	// kept is the name under which it has a place of its own, "" if it has none.
	kept string
	// away ends the connection.
	away context.CancelCauseFunc
}

var (
	errOvertaken   = errors.New("it did not register, and others want to connect")
	errFull        = errors.New("there are too many connections")
	errProcessFull = errors.New("its process has too many connections")
	errUserFull    = errors.New("its user has too many connections; plugins[].identity keeps places for names")
)

// enter lets a connection of a process in; it may have another one sent away for
// that.
func (v *visitors) enter(who process, away context.CancelCauseFunc) (*visitor, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := v.count(func(*visitor) bool { return true })
	user := v.count(func(o *visitor) bool { return o.uid == who.uid })
	own := v.count(func(o *visitor) bool { return who.pid != 0 && o.pid == who.pid })
	switch {
	// Those who were sent away are there for a moment still.
	case own.sent >= maxLeaving:
		return nil, errProcessFull
	case user.here()+user.sent >= 2*v.max-v.max/userShare:
		return nil, errUserFull
	case all.here()+all.sent >= 2*v.max:
		return nil, errFull
	case len(own.silent) >= maxSilent:
		own.silent[0].send()
	case own.here() >= max(maxSilent, v.max/processShare):
		return nil, errProcessFull
	case all.here() < v.max:
	case len(all.silent)+len(all.asking) > 0:
		crowd(slices.Concat(all.silent, all.asking)).send()
	default:
		return nil, errFull
	}
	n := &visitor{process: who, away: away}
	v.all = append(v.all, n)
	return n, nil
}

// census is how many visitors there are of a kind, without those who have kept places.
type census struct {
	settled, sent  int
	silent, asking []*visitor
}

// here is how many have not been sent away.
func (c census) here() int { return c.settled + len(c.silent) + len(c.asking) }

func (v *visitors) count(kind func(*visitor) bool) (c census) {
	for _, o := range v.all {
		switch {
		case o.kept != "" || !kind(o):
		case o.sent:
			c.sent++
		case o.settled:
			c.settled++
		case o.asks:
			c.asking = append(c.asking, o)
		default:
			c.silent = append(c.silent, o)
		}
	}
	return c
}

// crowd returns the oldest of the user who has most, and among those of the process
// that has most.
func crowd(list []*visitor) *visitor {
	users, processes := map[int64]int{}, map[process]int{}
	for _, o := range list {
		users[o.uid]++
		processes[o.process]++
	}
	first := list[0]
	for _, o := range list[1:] {
		if n, most := users[o.uid], users[first.uid]; n > most || o.uid == first.uid && processes[o.process] > processes[first.process] {
			first = o
		}
	}
	return first
}

// send sends a visitor away.
func (n *visitor) send() {
	n.sent = true
	n.away(errOvertaken)
}

// hear takes note of a visitor, who is nil for plugins that the proxy started, that asks
// to be let in, or is not going to be.
func (v *visitors) hear(n *visitor, asks bool) {
	if n == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	n.asks = asks
}

// settle keeps a visitor from being sent away. The name is the plugin's where the configuration says whose that is, and
// it is the visitor's. An error says that there are too many who have been let in.
func (v *visitors) settle(n *visitor, name string) error {
	if n == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if n.sent {
		return errOvertaken
	}
	if name != "" && v.keeps(name) < keptPlaces {
		n.kept, n.settled = name, true
		return nil
	}
	if user := v.count(func(o *visitor) bool { return o.uid == n.uid }); user.settled >= max(maxSilent, v.max/userShare) {
		return errUserFull
	}
	if all := v.count(func(*visitor) bool { return true }); all.settled >= v.max-v.max/openShare {
		return errFull
	}
	n.settled = true
	return nil
}

// keeps returns how many places a name has already.
func (v *visitors) keeps(name string) (n int) {
	for _, o := range v.all {
		if o.kept == name {
			n++
		}
	}
	return n
}

// leave makes room.
func (v *visitors) leave(n *visitor) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if i := slices.Index(v.all, n); i >= 0 {
		v.all = slices.Delete(v.all, i, i+1)
	}
}
