package e2e

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
)

// waiting is how long containerd has waited for plugins so far, by its own metrics: a
// line of them, without _sum or _count, and its value.
type waiting struct{ seconds, calls map[string]float64 }

// waited reads containerd's metrics.
func (n *node) waited(address string) waiting {
	n.Helper()
	r, err := http.Get("http://" + address + "/v1/metrics")
	must(n.T, err)
	defer r.Body.Close() //nolint:errcheck // only read from
	w := waiting{map[string]float64{}, map[string]float64{}}
	const name = "containerd_nri_plugin_latency_seconds"
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		series, value, _ := strings.Cut(lines.Text(), " ")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		if labels, ok := strings.CutPrefix(series, name+"_sum"); ok {
			w.seconds[labels] = v
		}
		if labels, ok := strings.CutPrefix(series, name+"_count"); ok {
			w.calls[labels] = v
		}
	}
	return w
}

// since is the mean, in milliseconds, of the calls since then of an operation by a
// plugin whose names contain these texts; 0 when there were none.
func (w waiting) since(then waiting, operation, plugin string) float64 {
	var seconds, calls float64
	for labels := range w.calls {
		if strings.Contains(labels, operation) && strings.Contains(labels, plugin) {
			seconds += w.seconds[labels] - then.seconds[labels]
			calls += w.calls[labels] - then.calls[labels]
		}
	}
	if calls == 0 {
		return 0
	}
	return seconds / calls * 1e3
}
