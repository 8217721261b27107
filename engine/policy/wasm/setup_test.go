package wasm_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/engine/policy/wasm"
	"github.com/nri-guard/nri-guard/engine/policy/wasm/internal/wasmtest"
)

// slowest are codes that take longest for the fuel that they burn.
func slowest() map[string][]byte {
	i32 := wasmtest.I32Const
	// Each load depends on the one before it and misses every cache.
	load := wasmtest.Cat(opLocalGet, 2, i32(0x10fffc), opI32Add, i32(0xfffffc), 0x71, opLocalSet, 2,
		opLocalGet, 2, opLocalGet, 2, opI32Load, 2, 0, opI32Add, i32(0xfffffc), 0x71, opLocalSet, 2)
	return map[string][]byte{
		"loads":                wasmtest.Repeat(100, load),
		"copies of everything": wasmtest.Cat(i32(1), i32(0), i32(256<<16-1), 0xfc, 10, 0, 0),
		"fills of a little":    wasmtest.Repeat(20, i32(0), i32(1), i32(15), 0xfc, 11, 0),
	}
}

// slow is a module that takes all memory, page by page, and does something so often
// when an instance is set up, and without end when it is asked.
func slow(code []byte, turns int) []byte {
	g := newGuest()
	g.memory = [2]int{1, -1}
	g.locals = []byte{wasmtest.I32}
	g.validate = wasmtest.Cat(forever(code), wasmtest.I64Const(0))
	grow := wasmtest.Cat(opLoop, void, wasmtest.I32Const(1), opMemoryGrow, 0, wasmtest.I32Const(-1), 0x47, opBranchIf, 0, opEnd)
	// The code uses the local 2, as in validate; 3 counts.
	g.Start(g.Func(g.nothing, wasmtest.Repeat(4, wasmtest.I32), grow, opLoop, void, code,
		opLocalGet, 3, wasmtest.I32Const(1), opI32Add, 0x22, 3, wasmtest.I32Const(int32(turns)), opI32LtU, opBranchIf, 0, opEnd))
	return g.module()
}

// An instance that has failed is thrown away, and another one set up in the
// background. A module that burns all that it may in both takes no more than 100 ms
// of processor time for each decision, everything counted: the best of some rounds,
// since other processes evict what is in the caches.
func BenchmarkFailureWithSetUp(b *testing.B) {
	const rounds, decisions, most = 10, 10, 100 * time.Millisecond
	for name, code := range slowest() {
		b.Run(name, func(b *testing.B) {
			p := mustLoad(b, slow(code, startTurns(b, code)), wasm.Config{Instances: 1})
			big := reference(b)
			least := time.Hour
			for b.Loop() {
				for range rounds {
					before := processTime(b)
					for range decisions {
						if got := failure(p, big); got != noFuel {
							b.Fatal(got)
						}
					}
					least = min(least, (processTime(b)-before)/decisions)
				}
			}
			b.ReportMetric(float64(least.Microseconds())/1000, "cpu-ms/decision")
			if least > most {
				b.Errorf("a decision takes %v of processor time, at most %v", least, most)
			}
		})
	}
}

// startTurns is how often a start function can do something after taking all memory.
func startTurns(tb testing.TB, code []byte) int {
	tb.Helper()
	const grown = 5_600_000 // fuel, and a little more
	fuel := func(turns int) uint64 {
		g := newGuest()
		g.memory = [2]int{256, -1}
		g.locals = []byte{wasmtest.I32}
		g.validate = wasmtest.Cat(wasmtest.Repeat(turns, code), wasmtest.I64Const(0))
		return mustLoad(tb, g.module(), wasm.Config{Instances: 1}).Judge(tb.Context(), middling()).Costs[0].Fuel
	}
	return int((wasm.DefaultStartFuel - grown) / (fuel(2) - fuel(1) + 10))
}

// processTime is what the process has taken of processors.
func processTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
