package proxy

import "github.com/nri-guard/nri-guard/engine"

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

// depart has the ledger know that it does not any more.
func (l *link) depart() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.member != nil {
		l.member.Leave()
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
