package wasm_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/engine/policy/wasm/internal/wasmtest"
)

// corpus is everything hostile that there is here, and what costs the compiler most
// of what the limits let through.
func corpus() map[string][]byte {
	all := map[string][]byte{
		"nothing":          {},
		"text":             []byte("(module)"),
		"a component":      []byte("\x00asm\x0d\x00\x01\x00"),
		"an endless count": []byte("\x00asm\x01\x00\x00\x00\x01\x05\xff\xff\xff\xff\x0f"),
	}
	for name, c := range hostile() {
		all[name] = c.module
	}
	for name, c := range hostileCommands() {
		all["command: "+name] = c.make(newCommand())
	}
	for name, c := range hostileSetUp() {
		g := newGuest()
		c.make(g)
		all["set up: "+name] = g.module()
	}
	maps.Copy(all, hostileNames())
	for name, body := range map[string][]byte{
		"nested blocks": wasmtest.Cat(wasmtest.Repeat(1_900, opBlock, void), wasmtest.Repeat(1_900, opEnd)),
		"nested loops":  wasmtest.Cat(wasmtest.Repeat(1_900, opLoop, void), wasmtest.Repeat(1_900, opEnd)),
		"branches":      wasmtest.Cat(opBlock, void, wasmtest.Repeat(10_000, wasmtest.I32Const(0), opBranchIf, 0), opEnd),
		"targets":       wasmtest.Cat(opBlock, void, wasmtest.I32Const(0), 0x0e, wasmtest.U(3_900), wasmtest.Repeat(3_901, 0), opEnd),
		"constants":     wasmtest.Repeat(50_000, wasmtest.I64Const(-1), opDrop),
	} {
		g := newGuest()
		g.validate = []byte{opUnreachable}
		for range min(10, 500_000/len(body)) {
			g.Func(g.nothing, wasmtest.Repeat(20, wasmtest.I64), body)
		}
		all["compiling: "+name] = g.module()
	}
	return all
}

// The program answers for modules that nobody has seen: it ends with 1 or 2, within
// two seconds of processor time and 300 MiB, whatever they do.
func TestProgramOnHostileModules(t *testing.T) {
	program := built(t)
	modules := corpus()
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		u := within(t, program, file(t, modules[name]), 2*time.Second)
		if u.Code != 1 && u.Code != 2 {
			t.Errorf("%s: exit code %d\n%s", name, u.Code, u.output)
		}
		if (u.Time > 2*time.Second || u.Memory > 300) && !raced {
			t.Errorf("%s: %v of processor time, %d MiB", name, u.Time, u.Memory)
		}
	}
}
