package proxy

import "time"

// drain ends every link as soon as nothing is under way on it, and those that take
// too long anyway.
func (p *Proxy) drain() {
	end := time.Now().Add(p.cfg.Limits.Drain)
	for {
		left := p.connected()
		if len(left) == 0 {
			return
		}
		late := time.Now().After(end)
		for _, l := range left {
			if late || l.idle() {
				l.end(errStopping)
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
}
