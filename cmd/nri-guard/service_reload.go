package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/containerd/log"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/systemd"
	"github.com/nri-guard/nri-guard/engine"
)

// reload reads everything anew and puts it in force. What cannot be used leaves all as
// it was, which is said wherever somebody may look. The service manager is not told of
// a reload before it has been told that the guard is ready: the end of one is said by
// what says that, and whoever waits for the guard would be let go. What comes of such a
// reload is in the status, which follow tells.
func (s *service) reload(ctx context.Context, why string) {
	started := s.started.Load()
	if started {
		systemd.Reloading(ctx)
	}
	start := time.Now()
	next, err := load(ctx, s.file)
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		err = s.current().restart(next)
	}
	if err == nil {
		err = s.enforce(next)
	}
	s.metrics.Reloaded(err == nil)
	s.mu.Lock()
	s.failed = err
	s.mu.Unlock()
	if err != nil {
		log.G(ctx).WithField("reason", why).Errorf("The reload failed; revision %s stays in force: %s", s.current().set.Revision(), oneLine(err))
	} else {
		log.G(ctx).WithField("reason", why).Infof("Reloaded in %s", time.Since(start).Round(time.Millisecond))
		s.announce(ctx)
	}
	if s.watcher != nil {
		s.watcher.Set(next.stamp)
	}
	if started {
		state := s.state()
		systemd.Ready(ctx, summary(&state))
	}
}

// enforce puts what was loaded in force. After an error all is as it was.
func (s *service) enforce(l *loaded) error {
	c := l.config
	rules := l.set.Rules()
	rules.Unmask = c.Audit.Unmask
	rules.RecordBestEffort = c.Audit.BestEffort
	var next engine.Recorder
	if s.log != nil {
		relabelled, err := s.log.With(c.Audit.Config)
		if err != nil {
			return err
		}
		next = relabelled
	}
	rules.Recorder = &teller{next: s.metrics.Recorder(next, c.Audit.BestEffort)}
	if s.proxy == nil {
		s.engine.Swap(rules)
	} else if err := s.proxy.Swap(c.proxied(), rules); err != nil {
		return err
	}
	s.mu.Lock()
	s.inForce = l
	s.mu.Unlock()
	s.metrics.Loaded(l.set.Revision(), l.enforcements(), c.pluginNames(), l.at)
	debug.FreeOSMemory() // compiling leaves much more behind than it keeps
	rehearse(rules)
	return nil
}

func (s *service) current() *loaded {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inForce
}

// announce says what is in force.
func (s *service) announce(ctx context.Context) {
	l := s.current()
	count := map[engine.Enforcement]int{}
	for _, e := range l.enforcements() {
		count[e]++
	}
	var parts []string
	for e := engine.Deny; e <= engine.Off; e++ {
		parts = append(parts, fmt.Sprintf("%s %d", e, count[e]))
	}
	log.G(ctx).WithField("revision", l.set.Revision()).Infof("Loaded %d policies (%s)", len(l.set.Policies()), strings.Join(parts, ", "))
	for _, w := range l.config.warnings() {
		log.G(ctx).Warn(w)
	}
	if strips := l.set.Strips(); len(strips) > 0 && s.proxy == nil {
		log.G(ctx).Warnf("A validator cannot strip; these policies deny: %s", strings.Join(strips, ", "))
	}
}

// announceAdmin says where to ask.
func (s *service) announceAdmin(ctx context.Context) {
	if s.admin == nil {
		return
	}
	log.G(ctx).Infof("Serving /healthz, /readyz and /metrics on http://%s", s.admin.Address())
	if s.current().config.Admin.Public {
		log.G(ctx).Warn("The admin address is public: who can reach it can see which plugins are connected, and what is wrong")
	}
}

// oneLine makes one line of an error that has several.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
