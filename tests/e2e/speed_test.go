package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/nri-guard/nri-guard/tests/e2e/internal/containerd"
	"github.com/nri-guard/nri-guard/tests/e2e/internal/cri"
	"github.com/nri-guard/nri-guard/tests/e2e/internal/process"
)

// How much is measured: rounds of all variants, so many containers in each.
const (
	rounds     = 12
	perVariant = 25
)

// variants are what is compared, on one containerd, in turns.
var variants = []struct {
	name string
	mode mode
	null bool // a validator that does nothing
}{
	{name: "no guard", mode: direct},
	{name: "a validator that does nothing", mode: direct, null: true},
	{name: "the guard as validator", mode: validator},
	{name: "the guard as proxy", mode: proxy},
	{name: "the guard as both", mode: both},
}

// sample is what was measured in one turn of one variant.
type sample struct {
	creations []float64 // ms
	validate  float64   // ms that containerd waited for the validator, on average
	call      float64   // ms that containerd waited for a plugin, on average
	observe   float64   // ms that containerd waited for the guard's observer, on average
	decide    float64   // ms that a decision took, on average, by the decision log
	ready     float64   // ms from start to readiness
	resident  float64   // MiB
}

// What creating a container costs with the guard, compared in turns on one containerd.
func TestSpeed(t *testing.T) {
	metrics := freeAddress(t)
	n := start(t, setup{mode: both, unguarded: true, runtime: func(c *containerd.Config) { c.Metrics = metrics }})
	ask := reference(t)
	measured := make([][]sample, len(variants))
	for range rounds {
		for i, v := range variants {
			measured[i] = append(measured[i], n.turn(metrics, v.mode, v.null, ask))
		}
	}
	report(t, measured)
}

// turn measures a variant once: its processes are started, and stopped afterwards.
func (n *node) turn(metrics string, m mode, null bool, ask func(*runtime.ContainerConfig)) sample {
	n.Helper()
	c := *n
	c.mode = m
	var s sample
	var running []*process.Process
	if m != direct {
		c.guard = newGuard(&c, "")
		must(n.T, os.RemoveAll(c.guard.log)) // of the turn before
		begin := time.Now()
		c.guard.start()
		s.ready = milliseconds(time.Since(begin))
		running = append(running, c.guard.Process)
	}
	if null {
		running = append(running, c.plugin("nothing", "-socket", n.socket))
	}
	socket := n.socket
	if m.relays() {
		socket = pluginSocket
	}
	for _, name := range []string{"10-one", "20-two", "30-three"} {
		running = append(running, c.plugin("obedient", "-idx", name[:2], "-name", name[3:], "-socket", socket))
	}
	pod := c.pod("default", nil)
	c.timeCreations(pod, 2, ask) // nothing is cold any more
	before := c.waited(metrics)
	s.creations = c.timeCreations(pod, perVariant, ask)
	after := c.waited(metrics)
	s.validate = after.since(before, "ValidateContainerAdjustment", "")
	s.call = after.since(before, `"CreateContainer"`, "10-one")
	s.observe = after.since(before, "PostCreateContainer", "nri-guard-observer")
	if m != direct {
		s.resident = c.resident(c.guard.PID())
		s.decide = c.guard.took()
	}
	for _, p := range slices.Backward(running) {
		p.Stop()
	}
	return s
}

// reference makes containers ask for what the reference request of docs/performance.md
// asks for.
func reference(t *testing.T) func(*runtime.ContainerConfig) {
	t.Helper()
	data, err := os.ReadFile("../../cmd/nri-guard/reference.json")
	must(t, err)
	var r struct {
		Container struct{ Env []string }
		Adjust    json.RawMessage
	}
	must(t, json.Unmarshal(data, &r))
	order, err := json.Marshal(map[string]any{"adjust": r.Adjust})
	must(t, err)
	return func(c *runtime.ContainerConfig) {
		c.Labels = map[string]string{"one.e2e": string(order)}
		for _, e := range r.Container.Env {
			name, value, _ := strings.Cut(e, "=")
			c.Envs = append(c.Envs, &runtime.KeyValue{Key: name, Value: []byte(value)})
		}
	}
}

// timeCreations creates containers, one after the other, and removes them.
func (n *node) timeCreations(pod *cri.Pod, count int, ask func(*runtime.ContainerConfig)) []float64 {
	n.Helper()
	var times []float64
	var all []*cri.Container
	for i := range count {
		begin := time.Now()
		c, err := pod.Create(n.ctx, fmt.Sprintf("app%d", i), ask)
		times = append(times, milliseconds(time.Since(begin)))
		must(n.T, err)
		all = append(all, c)
	}
	for _, c := range all {
		must(n.T, c.Remove(n.ctx))
	}
	return times
}

// took is how long a decision took on average, in milliseconds, by the decision log.
func (g *guard) took() float64 {
	g.node.Helper()
	var sum, count float64
	for _, d := range g.decisions() {
		if d.Operation == "CreateContainer" {
			sum, count = sum+d.Metrics.Nanoseconds/1e6, count+1
		}
	}
	return sum / count
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1e3 }

// resident is the memory of a process in MiB.
func (n *node) resident(pid int) float64 {
	n.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(n.T, err)
	var kib float64
	_, rest, _ := strings.Cut(string(data), "VmRSS:")
	_, err = fmt.Sscan(rest, &kib)
	must(n.T, err)
	return kib / 1024
}

// report prints the table.
func report(t *testing.T, measured [][]sample) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "| %d creations each | median | of it, waiting for the validator | for the plugin that asks | for the observer | one decision |\n|---|---:|---:|---:|---:|---:|\n", rounds*perVariant)
	for i, v := range variants {
		fmt.Fprintf(&b, "| %s | %.2f ms | %.3f ms | %.3f ms | %.3f ms | %.3f ms |\n", v.name, creation(measured[i]),
			medianOf(measured[i], func(s sample) float64 { return s.validate }),
			medianOf(measured[i], func(s sample) float64 { return s.call }),
			medianOf(measured[i], func(s sample) float64 { return s.observe }),
			medianOf(measured[i], func(s sample) float64 { return s.decide }))
	}
	plain, null, guarded := creation(measured[0]), creation(measured[1]), creation(measured[2])
	validate := func(s sample) float64 { return s.validate }
	fmt.Fprintf(&b, "\n| what | limit | measured |\n|---|---:|---:|\n")
	fmt.Fprintf(&b, "| a creation with the guard as validator, against a validator that does nothing | +0.150 ms | %+.3f ms |\n", guarded-null)
	fmt.Fprintf(&b, "| the same, as containerd counts its waiting | +0.150 ms | %+.3f ms |\n", medianOf(measured[2], validate)-medianOf(measured[1], validate))
	fmt.Fprintf(&b, "| a creation with the guard as validator, against none | 1.06 | %.3f |\n", guarded/plain)
	var all []sample
	for _, m := range measured[2:] {
		all = append(all, m...)
	}
	resident := slices.Max(values(all, func(s sample) float64 { return s.resident }))
	fmt.Fprintf(&b, "| resident memory, the most of all turns | 60 MiB | %.1f MiB |\n", resident)
	fmt.Fprintf(&b, "| from start to ready | 250 ms | %.0f ms |\n", medianOf(all, func(s sample) float64 { return s.ready }))
	t.Logf("\n%s", b.String())
	if resident > 60 {
		t.Error("the guard takes more memory than it may")
	}
}

func creation(samples []sample) float64 {
	var all []float64
	for _, s := range samples {
		all = append(all, s.creations...)
	}
	return median(all)
}

func values(samples []sample, of func(sample) float64) []float64 {
	var all []float64
	for _, s := range samples {
		all = append(all, of(s))
	}
	return all
}

func medianOf(samples []sample, of func(sample) float64) float64 { return median(values(samples, of)) }

func median(v []float64) float64 {
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
