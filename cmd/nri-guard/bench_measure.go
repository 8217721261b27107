package main

import (
	"runtime"
	"slices"
	"time"
)

// cost of one thing.
type cost struct {
	Nanoseconds int64 `json:"ns"`
	Allocations int64 `json:"allocations"`
}

// per divides the cost by the number of things that it was for.
func (c cost) per(n int) cost {
	return cost{Nanoseconds: c.Nanoseconds / int64(n), Allocations: c.Allocations / int64(n)}
}

// measure calls f for about the given time and returns the cost of a call: the
// median over short runs, so that what else the machine does matters little.
func measure(f func(), total time.Duration) cost {
	f() // what is done once is not part of it
	start := time.Now()
	f()
	run := 1 + int(time.Millisecond/max(time.Since(start), 1))

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var times []int64
	calls := 0
	for begin := time.Now(); calls == 0 || time.Since(begin) < total; {
		start := time.Now()
		for range run {
			f()
		}
		times = append(times, int64(time.Since(start))/int64(run))
		calls += run
	}
	runtime.ReadMemStats(&after)
	slices.Sort(times)
	return cost{
		Nanoseconds: times[len(times)/2],
		Allocations: int64(after.Mallocs-before.Mallocs) / int64(calls),
	}
}
