package tests

import (
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// TestMetrics reads what the guard counts, with Prometheus' own parser.
func TestMetrics(t *testing.T) {
	n := newNode(t)
	n.configure(asBoth + "policy: {timeout: 20s, enforcement: {writable_mounts: strip}}\nplugins: [{name: trusted, identity: {uid: 12345}}]\n")
	runtime := n.serve()
	g := n.start()
	g.becomes("ready")
	n.plug(n.plugins, "10", "scratch", scratch)
	g.eventually("the runtime has the plugin", func() bool { return runtime.plugins() == 3 })
	if _, err := runtime.create("c1"); err != nil {
		t.Fatal(err)
	}
	n.plug(n.plugins, "20", "evil", preload)
	g.eventually("the runtime has the plugin", func() bool { return runtime.plugins() == 4 })
	if _, err := runtime.create("c2"); err == nil {
		t.Fatal("LD_PRELOAD is let through")
	}
	n.plug(n.plugins, "30", "trusted", greeting) // who is not user 12345
	families := map[string]*dto.MetricFamily{}
	g.eventually("the registration is refused", func() bool {
		body, _ := g.get("/metrics")
		parser := expfmt.NewTextParser(model.UTF8Validation)
		var err error
		if families, err = parser.TextToMetricFamilies(strings.NewReader(string(body))); err != nil {
			t.Fatal(err)
		}
		return value(families, "decisions_total", "operation=RegisterPlugin outcome=fail plugin=trusted") >= 1
	})
	for metric, want := range map[string]float64{
		"decisions_total operation=CreateContainer outcome=strip plugin=scratch":   2,
		"decisions_total operation=CreateContainer outcome=deny plugin=evil":       1,
		"decisions_total operation=CreateContainer outcome=allow plugin=-":         1,
		"decisions_total operation=RegisterPlugin outcome=allow plugin=scratch":    1,
		"violations_total enforcement=deny plugin=evil policy=environment":         1,
		"violations_total enforcement=strip plugin=scratch policy=writable_mounts": 2,
		"connected_plugins plugin=scratch":                                         1,
		"runtime_connected connection=validator":                                   1,
		"runtime_connected connection=observer":                                    1,
		"ready ":                                                                   1,
		"config_last_reload_successful ":                                           1,
		"policy_revision_info revision=" + g.ready().Revision:                      1,
		"policies enforcement=strip":                                               1,
		"reloads_total result=success":                                             0,
	} {
		name, labels, _ := strings.Cut(metric, " ")
		if got := value(families, name, labels); got != want {
			t.Errorf("%s is %v, want %v", metric, got, want)
		}
	}
	if h := families["nri_guard_decision_duration_seconds"]; h == nil || h.GetType() != dto.MetricType_HISTOGRAM {
		t.Error("there is no histogram of durations")
	}
	if families["process_resident_memory_bytes"] == nil || families["go_goroutines"] == nil {
		t.Error("nothing about the process")
	}
	for name, family := range families {
		for _, m := range family.Metric {
			for _, l := range m.Label {
				if v := l.GetValue(); strings.Contains(v, "web") || strings.Contains(v, "shop") || v == "c1" {
					t.Errorf("%s has label %s=%s, which a pod's author chooses", name, l.GetName(), v)
				}
			}
		}
	}
}

// value returns the metric of the guard's with these labels; -1 where there is none.
func value(families map[string]*dto.MetricFamily, name, labels string) float64 {
	f := families["nri_guard_"+name]
	for _, m := range f.GetMetric() {
		var have []string
		for _, l := range m.Label {
			have = append(have, l.GetName()+"="+l.GetValue())
		}
		if strings.Join(have, " ") == labels {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return -1
}

// TestLog: every line is JSON, and says what has been decided.
func TestLog(t *testing.T) {
	n := newNode(t)
	n.configure(asValidator)
	runtime := n.serve()
	g := n.start()
	g.becomes("ready")
	n.plug(n.runtime, "10", "evil", preload)
	g.eventually("the runtime has the plugin", func() bool { return runtime.plugins() == 3 })
	if _, err := runtime.create("c1"); err == nil {
		t.Fatal("LD_PRELOAD is let through")
	}
	g.eventually("the denial is logged", func() bool { return len(g.logged("Denied: environment: ")) == 1 })
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, entry := range g.log {
		if entry["level"] == "broken" {
			t.Error(entry["msg"])
		}
		if m, _ := entry["msg"].(string); strings.HasPrefix(m, "Denied: ") {
			if strings.Contains(m, "evil.so") {
				t.Errorf("the value of a variable is in the log: %s", m)
			}
			for key, want := range map[string]string{"level": "warning", "operation": "CreateContainer", "namespace": "shop", "pod": "web", "container": "app"} {
				if entry[key] != want {
					t.Errorf("%s is %v, want %s", key, entry[key], want)
				}
			}
		}
	}
}
