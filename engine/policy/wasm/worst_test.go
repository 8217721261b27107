package wasm_test

import (
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/engine/policy/wasm/internal/meter"
)

// estimate is what loading a module is estimated to take, in microseconds; more than any
// module may if it is refused for something else.
func estimate(module []byte) int {
	return sort.Search(10_000_000, func(n int) bool {
		_, err := meter.Check(module, meter.Limits{MemoryPages: 256, CompileCost: n + 1})
		return err == nil
	})
}

// worst is the module with the most steps in a function that costs no more than that,
// and the most of these functions beside what it is filled with.
func (s shape) worst(budget, function int, f filling) []byte {
	steps := most(func(n int) bool {
		_, err := meter.Check(s.module(n, 1, filling{}), meter.Limits{MemoryPages: 256, FunctionCost: function})
		return err == nil
	})
	none, one := estimate(s.module(steps, 0, filling{})), estimate(s.module(steps, 1, filling{}))
	filled := estimate(s.module(steps, 0, filling{body: f.body, functions: min(f.functions, 1)})) - none
	each := len(s.module(steps, 2, filling{})) - len(s.module(steps, 1, filling{}))
	room := meter.DefaultLimits().ModuleBytes - len(s.module(0, 0, f)) - 1_000
	return s.module(steps, min((budget-none-f.functions*filled)/(one-none+1), room/each, 29_000-f.functions), f)
}

// most is nearly the greatest number for which something holds that holds for all
// below; as far as 30,000.
func most(holds func(n int) bool) int {
	high := 1
	for high < 30_000 && holds(high) {
		high *= 2
	}
	low := high / 2
	for high-low > 1+low/50 {
		if middle := (low + high) / 2; holds(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// A yardstick tells how slow this machine is at the moment, by what the largest example
// takes.
type yardstick struct{ program, example string }

func newYardstick(t *testing.T, program string) yardstick {
	t.Helper()
	y := yardstick{program, filepath.Join(t.TempDir(), "command.wasm")}
	build := exec.Command("go", "build", "-o", y.example, "../../../wasm-examples/command")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return y
}

// seconds are so many seconds of a machine that does little else, or as much longer as
// the example takes longer than it does there.
func (y yardstick) seconds(t *testing.T, n float64) time.Duration {
	t.Helper()
	const quiet = 1750 * time.Millisecond
	example := ask(t, y.program, y.example).Time
	t.Logf("the largest example: %v of processor time", example)
	return time.Duration(n * float64(time.Second) * max(1, float64(example)/float64(quiet)))
}

// Whatever a module consists of, and however large it is, the program ends within two
// seconds of processor time and 300 MiB. Each shape is measured at a third of the
// bound, for which it may take a third of the time and what starting takes, and some at
// the bound itself, beside what makes them large. Other programs on the same processor
// make some shapes take twice the time, and the example hardly more: times are held where
// HOLD_TIMES is set, which is for when this runs alone, and printed elsewhere. What takes
// too long is measured again, beside the example.
func TestLoadingIsBounded(t *testing.T) {
	program := built(t)
	machine := newYardstick(t, program)
	limit := machine.seconds(t, 2)
	bound := meter.DefaultLimits().CompileCost
	all, fill := shapes(), fillings()
	measure := func(name string, module []byte, part int) {
		if _, err := meter.Check(module, meter.Limits{MemoryPages: 256, CompileCost: bound / part * 4 / 5}); err == nil && len(module) < 5_000_000 {
			t.Errorf("%s, %d bytes: costs less than it may", name, len(module))
		}
		start := time.Duration(part-1) * 75 * time.Millisecond
		path := file(t, module)
		u := ask(t, program, path)
		for i := 1; i < 5 && u.Time > held(limit/time.Duration(part)+start); i++ {
			limit = machine.seconds(t, 2)
			u = ask(t, program, path)
		}
		t.Logf("%s, %d bytes: %v of processor time, %d MiB", name, len(module), u.Time, u.Memory)
		if u.Code != 2 || !strings.Contains(u.output, "its answer is not as it must be: it is empty") {
			t.Errorf("%s: exit code %d\n%s", name, u.Code, u.output)
		}
		if may := held(limit/time.Duration(part) + start); (u.Time > may || u.Memory > 300) && !raced {
			t.Errorf("%s, %d bytes: %v of processor time, %d MiB; it may take %v", name, len(module), u.Time, u.Memory, may)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		measure(name, all[name].worst(bound/3, modest, filling{}), 3)
	}
	for _, c := range []struct {
		shape    string
		function int
		filling  string
	}{
		{"references", modest, "nothing"},
		{"dead code", modest, "nothing"},
		{"comparisons of comparisons", modest, "nops"},
		{"loads of what was loaded", modest, "dead code"},
		{"traps", modest, "constants"},
		{"returns", modest, "functions"},
		{"values below ifs", 100_000, "data"},
		{"calls that carry much", modest, "nothing"},
		{"loads of what was loaded", 100_000, "nothing"},
	} {
		measure(c.shape+" and "+c.filling, all[c.shape].worst(bound, c.function, fill[c.filling]), 1)
	}
}

// held is a time where times are held, and any elsewhere.
func held(may time.Duration) time.Duration {
	if os.Getenv("HOLD_TIMES") == "" || raced {
		return math.MaxInt64
	}
	return may
}

// modest is what a function may cost before what is beyond counts several times.
const modest = 14_000
