package proxy

import "time"

// pace bounds how often something is done in the long run. It is for one at a time.
type pace struct {
	perSecond int
	// burst is how much may be saved up for.
	burst int
	saved float64
	at    time.Time
}

// delay takes n, and returns how long to wait for them.
func (p *pace) delay(n int, now time.Time) time.Duration {
	most := float64(p.burst)
	if p.at.IsZero() {
		p.saved = most
	} else {
		p.saved = min(most, p.saved+now.Sub(p.at).Seconds()*float64(p.perSecond))
	}
	p.at = now
	p.saved -= float64(min(n, p.burst))
	if p.saved >= 0 {
		return 0
	}
	return time.Duration(-p.saved / float64(p.perSecond) * float64(time.Second))
}

// giveBack is for those who do not wait so long.
func (p *pace) giveBack(n int) { p.saved += float64(n) }

// idle says whether nothing is to be remembered.
func (p *pace) idle(now time.Time) bool {
	return p.saved+now.Sub(p.at).Seconds()*float64(p.perSecond) >= float64(p.burst)
}
