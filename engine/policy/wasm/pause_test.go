package wasm_test

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/engine/policy/wasm"
)

// While a module does its worst the garbage collector waits for it, and with it
// everybody else: never for longer than 50 ms. Other processes may keep a thread from
// running for as long as they like, so that the best of some attempts counts.
func TestPauses(t *testing.T) {
	worst := map[string][]byte{}
	for name, c := range hostile() {
		worst[name] = c.module
	}
	for name, c := range hostileCommands() {
		worst["command: "+name] = c.make(newCommand())
	}
	for name, module := range worst {
		p := mustLoad(t, module, wasm.Config{Instances: 1})
		big := reference(t)
		least := time.Hour
		for range 10 {
			before := stops(t)
			decide := make(chan struct{})
			go func() {
				defer close(decide)
				for range 3 {
					failure(p, big)
				}
			}()
			collect(decide)
			if least = min(least, longest(before, stops(t))); least < 50*time.Millisecond {
				break
			}
		}
		if least >= 50*time.Millisecond && !raced {
			t.Errorf("%s: the others were stopped for %v", name, least)
		}
	}
}

// collect allocates and collects garbage until it is told to end.
func collect(end <-chan struct{}) {
	for {
		garbage := make([][]byte, 0, 1000)
		for range 1000 {
			garbage = append(garbage, make([]byte, 1000))
		}
		runtime.KeepAlive(garbage)
		runtime.GC()
		select {
		case <-end:
			return
		default:
		}
	}
}

// stops are how long the garbage collector took to stop everybody, so far.
func stops(t *testing.T) *metrics.Float64Histogram {
	t.Helper()
	sample := []metrics.Sample{{Name: "/sched/pauses/stopping/gc:seconds"}}
	if metrics.Read(sample); sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		t.Skip("this version of Go does not tell how long stopping takes")
	}
	h := *sample[0].Value.Float64Histogram()
	h.Counts = append([]uint64(nil), h.Counts...)
	return &h
}

// longest is the lower end of the last bucket that something came into.
func longest(before, after *metrics.Float64Histogram) time.Duration {
	for i := len(after.Counts) - 1; i > 0; i-- {
		if after.Counts[i] > before.Counts[i] {
			return time.Duration(after.Buckets[i] * float64(time.Second))
		}
	}
	return 0
}
