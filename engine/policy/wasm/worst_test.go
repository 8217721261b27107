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

// allowedTime is what loading and asking the worst module may take here: two seconds, or as
// much longer as the largest example takes longer than it does where little else runs.
func allowedTime(t *testing.T, program string) time.Duration {
	t.Helper()
	module := filepath.Join(t.TempDir(), "command.wasm")
	build := exec.Command("go", "build", "-o", module, "../../../wasm-examples/command")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const quiet = 1750 * time.Millisecond
	example := within(t, program, module, quiet).Time
	t.Logf("the largest example: %v of processor time", example)
	return 2 * time.Second * max(example, quiet) / quiet
}

// Whatever a module consists of, and however large it is, the program ends within two
// seconds of processor time and 300 MiB. Each shape is measured at a third of the
// bound, for which it may take a third of the time and what starting takes, and some at
// the bound itself, beside what makes them large. What else runs on a machine makes some
// shapes take twice the processor time, and the example hardly more: times are held where
// HOLD_TIMES is set, which is for when this runs alone, and printed elsewhere.
func TestLoadingIsBounded(t *testing.T) {
	program := built(t)
	limit := allowedTime(t, program)
	bound := meter.DefaultLimits().CompileCost
	all, fill := shapes(), fillings()
	measure := func(name string, module []byte, budget int, may time.Duration) {
		if _, err := meter.Check(module, meter.Limits{MemoryPages: 256, CompileCost: budget * 4 / 5}); err == nil && len(module) < 5_000_000 {
			t.Errorf("%s, %d bytes: costs less than it may", name, len(module))
		}
		u := within(t, program, file(t, module), held(may))
		t.Logf("%s, %d bytes: %v of processor time, %d MiB", name, len(module), u.Time, u.Memory)
		if u.Code != 2 || strings.Contains(u.output, "limits.") {
			t.Errorf("%s: exit code %d\n%s", name, u.Code, u.output)
		}
		if (u.Time > held(may) || u.Memory > 300) && !raced {
			t.Errorf("%s, %d bytes: %v of processor time, %d MiB; it may take %v", name, len(module), u.Time, u.Memory, may)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		measure(name, all[name].worst(bound/3, modest, filling{}), bound/3, limit/3+150*time.Millisecond)
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
	} {
		measure(c.shape+" and "+c.filling, all[c.shape].worst(bound, c.function, fill[c.filling]), bound, limit)
	}
}

// held is a time where times are held, and any elsewhere.
func held(may time.Duration) time.Duration {
	if os.Getenv("HOLD_TIMES") == "" {
		return math.MaxInt64
	}
	return may
}

// modest is what a function may cost before what is beyond counts several times.
const modest = 14_000
