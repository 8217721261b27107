package metrics

import "github.com/prometheus/client_golang/prometheus"

// State is what the guard is in at a moment.
type State struct {
	Ready bool
	// Connected says, by the name of each of the guard's own connections to the
	// runtime, whether it is there.
	Connected map[string]bool
	// Plugins are the names of those connected, once for each connection.
	Plugins []string
}

// Watch has the state asked for whenever the metrics are. It must be called once.
func (m *Metrics) Watch(state func() State) {
	m.registry.MustRegister(&stateCollector{
		names: m.names,
		state: state,
		ready: prometheus.NewDesc("nri_guard_ready",
			"Whether the guard is ready, as /readyz says.", nil, nil),
		runtime: prometheus.NewDesc("nri_guard_runtime_connected",
			"Whether a connection of the guard's own to the runtime is there.", []string{"connection"}, nil),
		plugins: prometheus.NewDesc("nri_guard_connected_plugins",
			"Plugins that are connected through the proxy.", []string{"plugin"}, nil),
	})
}

// stateCollector makes gauges of a state. It implements [prometheus.Collector].
type stateCollector struct {
	names                   *names
	state                   func() State
	ready, runtime, plugins *prometheus.Desc
}

func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.ready
	ch <- c.runtime
	ch <- c.plugins
}

func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.state()
	ch <- prometheus.MustNewConstMetric(c.ready, prometheus.GaugeValue, number(s.Ready))
	for name, connected := range s.Connected {
		ch <- prometheus.MustNewConstMetric(c.runtime, prometheus.GaugeValue, number(connected), name)
	}
	count := map[string]int{}
	for _, name := range s.Plugins {
		count[c.names.label(name)]++
	}
	for name, n := range count {
		ch <- prometheus.MustNewConstMetric(c.plugins, prometheus.GaugeValue, float64(n), name)
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
