// Package metrics counts what the guard decides, for Prometheus.
//
// Every label has a bounded number of values: operations, outcomes and enforcements
// are words of the engine, policies are those that are loaded, and plugins, whose names
// are their own choice, are those of the configuration and a fixed number of others.
// Nothing that a pod's author chooses is a label.
package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/nri-guard/nri-guard/engine"
)

// The outcomes of a decision, as the label outcome has them.
const (
	Allow = "allow" // all that was asked for
	Strip = "strip" // allowed, less what a policy objected to
	Deny  = "deny"  // a policy objects
	Fail  = "fail"  // denied because it could not be decided or recorded
)

// none stands for an empty name where a label needs a value: it is no name of a
// policy, and a plugin of that name is among the others.
const none = "-"

// Metrics are those of one guard. It is safe for concurrent use.
type Metrics struct {
	registry   *prometheus.Registry
	names      *names
	decisions  *prometheus.CounterVec
	violations *prometheus.CounterVec
	failures   *prometheus.CounterVec
	exempted   *prometheus.CounterVec
	unrecorded prometheus.Counter
	duration   *prometheus.HistogramVec
	fuel       *prometheus.HistogramVec
	reloads    *prometheus.CounterVec
	reloaded   prometheus.Gauge
	reloadTime prometheus.Gauge
	policies   *prometheus.GaugeVec
	revision   *prometheus.GaugeVec
}

// New returns metrics in a registry of their own, with those of the Go runtime and of
// the process.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		names:    &names{},
		decisions: counter("decisions_total",
			"Decisions, by what the plugins were asked about, what came of it, and the plugin judged (- where an adjustment is merged).",
			"operation", "outcome", "plugin"),
		violations: counter("violations_total",
			"Objections of policies, by what follows from them and the plugin that they are attributed to (- where there is not just one).",
			"policy", "enforcement", "plugin"),
		failures: counter("failures_total",
			"What could not be decided, by policy (- where it was none: a malformed request, a decision not recorded).",
			"policy"),
		exempted: counter("exempted_total",
			"Objections and failures that an exemption lifted, by policy.", "policy"),
		unrecorded: prometheus.NewCounter(prometheus.CounterOpts{Name: "nri_guard_unrecorded_total",
			Help: "Decisions that the decision log did not take."}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "nri_guard_decision_duration_seconds",
			Help:    "Time that decisions took, without what writing the decision log takes.",
			Buckets: []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1},
		}, []string{"operation"}),
		fuel: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "nri_guard_wasm_fuel",
			Help:    "Fuel that WebAssembly policies burnt, a decision each.",
			Buckets: prometheus.ExponentialBuckets(1000, 4, 8), // to 16 million, past the default bound
		}, []string{"policy"}),
		reloads: counter("reloads_total", "Reloads of the configuration, by result.", "result"),
		reloaded: gauge("config_last_reload_successful",
			"Whether the last reload of the configuration succeeded; 0 means that an older one is in force."),
		reloadTime: gauge("config_last_reload_success_timestamp_seconds",
			"When the configuration in force was loaded."),
		policies: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "nri_guard_policies",
			Help: "Policies that are loaded, by enforcement."}, []string{"enforcement"}),
		revision: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "nri_guard_policy_revision_info",
			Help: "Always 1; the label is the revision of the policies in force."}, []string{"revision"}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.decisions, m.violations, m.failures, m.exempted, m.unrecorded, m.duration, m.fuel,
		m.reloads, m.reloaded, m.reloadTime, m.policies, m.revision,
	)
	for _, result := range []string{success, failure} {
		m.reloads.WithLabelValues(result)
	}
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nri_guard_" + name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: "nri_guard_" + name, Help: help})
}

// Gatherer is what is served.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// The values of the label result.
const (
	success = "success"
	failure = "failure"
)

// Loaded tells what is in force now, since when: at the start and after each reload.
// The names are those of the configuration's plugins, which are always told apart.
func (m *Metrics) Loaded(revision string, policies map[string]engine.Enforcement, plugins []string, at time.Time) {
	m.names.keep(plugins)
	m.revision.Reset()
	m.revision.WithLabelValues(revision).Set(1)
	for e := engine.Deny; e <= engine.Off; e++ {
		m.policies.WithLabelValues(e.String()).Set(0)
	}
	for name, e := range policies {
		m.policies.WithLabelValues(e.String()).Inc()
		m.failures.WithLabelValues(name)
	}
	m.failures.WithLabelValues(none)
	m.reloaded.Set(1)
	m.reloadTime.Set(float64(at.Unix()))
}

// Reloaded counts a reload.
func (m *Metrics) Reloaded(ok bool) {
	if ok {
		m.reloads.WithLabelValues(success).Inc()
		return
	}
	m.reloads.WithLabelValues(failure).Inc()
	m.reloaded.Set(0)
}

// Recorder counts decisions and hands them on to next, where there is one. A decision
// that next does not take is a failure, unless bestEffort says that it stands.
func (m *Metrics) Recorder(next engine.Recorder, bestEffort bool) engine.Recorder {
	return &recorder{metrics: m, next: next, bestEffort: bestEffort}
}

type recorder struct {
	metrics    *Metrics
	next       engine.Recorder
	bestEffort bool
}

// Record implements [engine.Recorder].
func (r *recorder) Record(ctx context.Context, review *engine.Review, d *engine.Decision) error {
	var err error
	if r.next != nil {
		err = r.next.Record(ctx, review, d)
	}
	if err == nil && ctx.Err() != nil {
		r.metrics.unrecorded.Inc()
		if d.Allowed && !r.bestEffort {
			return nil // the engine has given it up, and has it recorded again as denied
		}
		r.metrics.count(review, d, outcomeOf(d))
		return nil
	}
	outcome := outcomeOf(d)
	if err != nil {
		r.metrics.unrecorded.Inc()
	}
	if err != nil && !r.bestEffort {
		outcome = Fail
		r.metrics.failures.WithLabelValues(none).Inc()
	}
	r.metrics.count(review, d, outcome)
	return err
}

func outcomeOf(d *engine.Decision) string {
	if d.Allowed {
		if len(d.Stripped) > 0 {
			return Strip
		}
		return Allow
	}
	for _, f := range d.Failures {
		if f.Enforcement != engine.Audit && f.Enforcement != engine.Off {
			return Fail
		}
	}
	return Deny
}

func (m *Metrics) count(r *engine.Review, d *engine.Decision, outcome string) {
	m.decisions.WithLabelValues(string(r.Operation), outcome, m.names.label(r.Plugin.Name)).Inc()
	m.duration.WithLabelValues(string(r.Operation)).Observe(d.Duration.Seconds())
	for _, v := range d.Violations {
		plugin := none
		if c := r.Change(v.Change); c != nil {
			plugin = m.names.label(c.Plugin.Name)
		}
		m.violations.WithLabelValues(v.Policy, v.Enforcement.String(), plugin).Inc()
	}
	for _, f := range d.Failures {
		policy := f.Policy
		if policy == "" {
			policy = none
		}
		m.failures.WithLabelValues(policy).Inc()
	}
	for _, c := range d.Costs {
		m.fuel.WithLabelValues(c.Policy).Observe(float64(c.Fuel))
	}
	for _, x := range d.Exempted {
		m.exempted.WithLabelValues(x.Policy).Inc()
	}
}
