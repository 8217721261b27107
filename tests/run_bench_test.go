package tests

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// The limits that the service keeps with the policies of the library.
const (
	maxStart = 250 * time.Millisecond
	maxRSS   = 60 << 20
)

// BenchmarkRun starts the service, as both validator and proxy, beside NRI's
// adaptation, and measures the time until it is ready and the memory that is resident
// after a thousand decisions. The quickest start and the largest memory are held
// against the limits: a machine that is busy makes a start slower, and nothing smaller.
func BenchmarkRun(b *testing.B) {
	quickest, largest := time.Hour, 0
	var all time.Duration
	starts := 0
	for b.Loop() {
		took, rss := measureRun(b)
		quickest, largest = min(quickest, took), max(largest, rss)
		all += took
		starts++
	}
	b.ReportMetric(0, "ns/op") // it is mostly the thousand decisions
	b.ReportMetric(float64(quickest.Microseconds())/1000, "ms/start-min")
	b.ReportMetric(float64(all.Microseconds())/1000/float64(starts), "ms/start-mean")
	b.ReportMetric(float64(largest)/(1<<20), "MiB-resident")
	if quickest > maxStart {
		b.Errorf("ready after %s, want %s at most", quickest, maxStart)
	}
	if largest > maxRSS {
		b.Errorf("%d MiB are resident, want %d at most", largest>>20, maxRSS>>20)
	}
}

func measureRun(b *testing.B) (start time.Duration, rss int) {
	n := newNode(b)
	n.configure(asBoth + "audit: {path: DIR/decisions}\n")
	runtime := n.serve()
	defer runtime.kill()
	if _, err := program(); err != nil { // built before the time runs
		b.Fatal(err)
	}
	notify := n.listenNotify()
	begin := time.Now()
	g := n.start("NOTIFY_SOCKET=" + notify.path)
	notify.next(`^READY=1\n`)
	start = time.Since(begin)
	n.plug(n.plugins, "10", "greeter", greeting)
	g.eventually("the runtime has the plugin", func() bool { return runtime.plugins() == 3 })
	for i := range 500 { // a decision on the reply, and one on what is merged
		if _, err := runtime.create(fmt.Sprint("c", i)); err != nil {
			b.Fatal(err)
		}
	}
	rss = resident(b, g.cmd.Process.Pid)
	_ = g.cmd.Process.Kill()
	<-g.ended
	return start, rss
}

// resident returns the memory of a process that is resident, in bytes.
func resident(b *testing.B, pid int) int {
	b.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte("VmRSS:"))
	var kB int
	if _, err := fmt.Sscan(string(rest), &kB); err != nil {
		b.Fatal(err)
	}
	return kB << 10
}
