package proxy

// apart does what takes its time without keeping the plugin's other messages
// waiting. An error ends the link.
func (l *link) apart(job func() error) {
	l.working.Add(1)
	select {
	case l.jobs <- job:
	default:
		l.judging.Go(func() { l.work(job) })
	}
}

// work does a job and those that follow: a goroutine that has judged once need not
// grow its stack again.
func (l *link) work(job func() error) {
	for {
		if err := recovering(l.ctx, job); err != nil {
			l.end(from("the plugin", err))
		}
		l.working.Add(-1)
		select {
		case job = <-l.jobs:
		case <-l.silent:
			return
		}
	}
}
