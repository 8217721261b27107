package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/log"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/admin"
	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/metrics"
	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/systemd"
	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/session"
)

// state is what the guard says of itself at this moment.
func (s *service) state() admin.State {
	s.mu.Lock()
	l, failed := s.inForce, s.failed
	s.mu.Unlock()
	st := admin.State{Revision: l.set.Revision(), Policies: len(l.set.Policies()), Loaded: l.at}
	for _, c := range s.connections() {
		if !c.Connected {
			st.Problems = append(st.Problems, fmt.Sprintf("%s on %s: %s", c.name, l.config.runtimeSocket(), c.Problem))
		}
	}
	if s.proxy != nil {
		p := s.proxy.Status()
		switch {
		case p.Problem != "":
			st.Problems = append(st.Problems, "proxy: "+p.Problem)
		case !p.Listening:
			st.Problems = append(st.Problems, "proxy: plugins cannot connect yet")
		}
		for _, plugin := range p.Plugins {
			st.Plugins = append(st.Plugins, plugin.String())
		}
	}
	if failed != nil {
		st.Warnings = append(st.Warnings, "the last reload failed, what was loaded before is in force: "+oneLine(failed))
	}
	return st
}

// connection is one of the guard's own to the runtime.
type connection struct {
	name string
	session.Status
}

func (s *service) connections() []connection {
	list := []connection{{"observer", s.observer.Status()}}
	if s.validator != nil {
		list = append(list, connection{"validator", s.validator.Status()})
	}
	return list
}

// measured is the state as metrics show it.
func (s *service) measured() metrics.State {
	st := s.state()
	m := metrics.State{Ready: len(st.Problems) == 0, Connected: map[string]bool{}}
	for _, c := range s.connections() {
		m.Connected[c.name] = c.Connected
	}
	if s.proxy != nil {
		for _, p := range s.proxy.Status().Plugins {
			m.Plugins = append(m.Plugins, p.Name)
		}
	}
	return m
}

func (s *service) alive(r *http.Request) error { return s.pulse.check(r.Context()) }

// How often follow looks: until the guard is ready for the first time somebody waits
// for it.
const (
	impatient = 10 * time.Millisecond
	patient   = 500 * time.Millisecond
	// hurry is how long follow is impatient.
	hurry = 10 * time.Second
	// quietly is how long follow does not mention that it takes a moment.
	quietly = time.Second
	// longer is what the service manager is asked to wait for the runtime, time and
	// again.
	longer = 30 * time.Second
)

// follow logs and tells the service manager when the guard becomes ready or ceases to
// be, until ctx ends.
func (s *service) follow(ctx context.Context) {
	f := follower{start: time.Now(), ready: &s.started}
	for ctx.Err() == nil {
		f.look(ctx, s.state())
		pause(ctx, f.ready.Load() || time.Since(f.start) > hurry)
	}
}

// follower remembers what has been told.
type follower struct {
	start time.Time
	// ready is set once the guard has been, right before the service manager is told: a
	// reload that begins then is one that it may know of.
	ready *atomic.Bool
	// problems and status were told last: one in the log, one to the service manager.
	problems, status string
	// asked is when the service manager was asked for patience.
	asked time.Time
}

func (f *follower) look(ctx context.Context, st admin.State) {
	problems, status := strings.Join(st.Problems, "; "), summary(&st)
	took, ready := time.Since(f.start), f.ready.Load()
	switch {
	case problems != "" && !ready && took < quietly:
		return
	case problems != f.problems && problems != "":
		log.G(ctx).Warn("Not ready: " + problems)
	case problems != f.problems && ready:
		log.G(ctx).Info("Ready again")
	case problems == "" && !ready:
		log.G(ctx).Infof("Ready after %s", took.Round(time.Millisecond))
	}
	switch {
	case problems == "" && !ready:
		f.ready.Store(true)
		systemd.Ready(ctx, status)
	case !ready && time.Since(f.asked) > longer/3:
		systemd.Waiting(ctx, status, longer)
		f.asked = time.Now()
	case status != f.status:
		systemd.Status(ctx, status)
	}
	f.problems, f.status = problems, status
}

func pause(ctx context.Context, patiently bool) {
	wait := impatient
	if patiently {
		wait = patient
	}
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
}

// summary is the state in a line, without what changes all the time.
func summary(s *admin.State) string {
	return strings.Join(append(append([]string{s.Status()}, s.Problems...), s.Warnings...), "; ")
}

// teller logs decisions and hands them on to where they are counted and recorded.
type teller struct{ next engine.Recorder }

// Record implements [engine.Recorder].
func (t *teller) Record(ctx context.Context, r *engine.Review, d *engine.Decision) error {
	err := t.next.Record(ctx, r, d)
	if err == nil && d.Allowed && len(d.Stripped) == 0 && !log.L.Logger.IsLevelEnabled(log.DebugLevel) {
		return nil
	}
	entry := log.L.WithFields(log.Fields{"operation": r.Operation, "decision": d.ID})
	for key, value := range map[string]string{
		"plugin": r.Plugin.String(), "namespace": r.Pod.GetNamespace(), "pod": r.Pod.GetName(), "container": r.Container.GetName(),
	} {
		if value != "" {
			entry = entry.WithField(key, value)
		}
	}
	if err != nil {
		entry.WithError(err).Error("The decision could not be recorded")
	}
	switch {
	case !d.Allowed:
		entry.Warn("Denied: " + firstOf(d.Reasons()))
	case len(d.Stripped) > 0:
		entry.Info("Stripped: " + firstOf(strippedBy(d)))
	default:
		entry.Debug("Allowed")
	}
	return err
}

const (
	// maxReasons is how many reasons are logged of one decision, and maxReason how long
	// each may be in bytes; the decision log has all.
	maxReasons = 10
	maxReason  = 1 << 10
)

// firstOf puts the first reasons in a line, without what a terminal would take for
// its own: plugins choose names.
func firstOf(reasons []string) string {
	var b strings.Builder
	for i, r := range reasons {
		switch {
		case i == maxReasons:
			return b.String() + "; and more"
		case i > 0:
			b.WriteString("; ")
		}
		b.WriteString(engine.Printable(engine.Brief(r, maxReason)))
	}
	return b.String()
}

// strippedBy are the objections by which changes were taken out.
func strippedBy(d *engine.Decision) []string {
	var lines []string
	for _, v := range d.Violations {
		if v.Enforcement == engine.Strip {
			lines = append(lines, v.String())
		}
	}
	return lines
}
