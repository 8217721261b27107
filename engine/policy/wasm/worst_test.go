package wasm_test

import (
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/engine/policy/wasm/internal/meter"
	"github.com/nri-guard/nri-guard/engine/policy/wasm/internal/wasmtest"
)

// shape is code that makes the compiler do a great deal: values that stay on the
// operand stack, below blocks or calls.
type shape struct {
	globals int
	values  int
	value   func(i int) []byte
	step    []byte // as often as the limits let it be
}

// shapes are those of which each cost a small module seconds and gigabytes before it
// had a term in the estimate of compiling.
func shapes() map[string]shape {
	global := []byte{opGlobalGet, 0}
	sum := func(i int) []byte { return wasmtest.Cat(global, wasmtest.I32Const(int32(i)), opI32Add) }
	load := func(i int) []byte { return wasmtest.Cat(sum(i), opI32Load, 0, 0) }
	call := []byte{opCall, 6} // what the module has behind its imports
	branch := wasmtest.Cat(global, opBranchIf, 0)
	exit := func(op int) []byte { return wasmtest.Cat(global, opIf, void, op, opEnd) }
	return map[string]shape{
		"calls with many globals":             {990, 0, sum, call},
		"functions with many globals":         {990, 0, sum, nil},
		"values below branches":               {1, 5_000, sum, branch},
		"values below ifs":                    {1, 300, sum, wasmtest.Cat(global, opIf, void, opEnd)},
		"values below returns":                {51, 300, sum, exit(0x0f)},
		"returns":                             {51, 0, sum, exit(0x0f)},
		"traps":                               {1, 0, sum, exit(opUnreachable)},
		"addresses before branches":           {1, 3_000, load, branch},
		"values of globals below branches":    {990, 300, func(i int) []byte { return wasmtest.Cat(opGlobalGet, wasmtest.U(i)) }, branch},
		"values below tables of branches":     {1, 2_000, sum, wasmtest.Cat(opBlock, void, global, 0x0e, wasmtest.U(20), make([]byte, 21), opEnd)},
		"stores":                              {1, 0, sum, wasmtest.Cat(global, global, opI32Store, 2, 0)},
		"globals that are looked for far off": {3, 0, sum, wasmtest.Cat(wasmtest.Repeat(20, opGlobalGet, 2, opDrop), branch)},
	}
}

// module has so many steps in each of so many functions.
func (s shape) module(steps, functions int) []byte {
	c := newCommand()
	for range s.globals {
		c.Global(wasmtest.I32, true, wasmtest.I32Const(0))
	}
	var body []byte
	for i := range s.values {
		body = append(body, s.value(i)...)
	}
	body = append(body, wasmtest.Repeat(steps, s.step)...)
	body = append(body, wasmtest.Repeat(s.values, opGlobalSet, 0)...)
	nothing := c.Type(nil, nil)
	c.Func(nothing, nil)
	for range functions {
		c.Func(nothing, nil, body)
	}
	return c.module()
}

// worst is the module of up to 1 MB with the most steps in a function, and with the
// most of these functions, that the limits let through.
func (s shape) worst() []byte {
	admitted := func(m []byte) bool {
		_, err := meter.Check(m, meter.Limits{MemoryPages: 256})
		return err == nil && len(m) <= 1<<20
	}
	steps := most(func(n int) bool { return admitted(s.module(n, 1)) })
	return s.module(steps, most(func(n int) bool { return admitted(s.module(steps, n)) }))
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

// No module of up to 1 MB takes longer to be loaded than three seconds of processor
// time, or more than 300 MiB: neither the worst of what the limits let through, nor
// what they refuse.
func TestLoadingIsBounded(t *testing.T) {
	program := filepath.Join(t.TempDir(), "nri-guard")
	if out, err := exec.Command("go", "build", "-o", program, "../../../cmd/nri-guard").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	all := shapes()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m := all[name].worst()
		cmd := exec.Command(program, "check", "--wasm", "own="+file(t, m))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
			continue
		}
		used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		memory := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10
		t.Logf("%s: %d bytes, %v of processor time, %d MiB", name, len(m), used, memory)
		if (used > 3*time.Second || memory > 300) && !raced {
			t.Errorf("%s, %d bytes: %v of processor time, %d MiB", name, len(m), used, memory)
		}
	}
}
