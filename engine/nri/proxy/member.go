package proxy

import (
	"time"

	"github.com/nri-guard/nri-guard/engine"
)

// join has the ledger know that the runtime consults the plugin from now on.
func (l *link) join() {
	if l.proxy.cfg.Ledger == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.member == nil {
		l.member = l.proxy.cfg.Ledger.Join(l.plugin)
	}
}

// depart has the ledger know that it does not any more, at once where the runtime has
// noticed, else when it must have.
func (l *link) depart(noticed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.member == nil:
	case noticed:
		l.member.Leave()
	default:
		time.AfterFunc(leaveTaken, l.member.Leave)
	}
}

// approve has the ledger know what the plugin gets.
func (l *link) approve(r *engine.Review) {
	l.mu.Lock()
	m := l.member
	l.mu.Unlock()
	if m != nil {
		m.Approve(r)
	}
}
