package wasm_test

import (
	"fmt"
	"testing"

	"github.com/nri-guard/nri-guard/engine/policy/wasm"
	"github.com/nri-guard/nri-guard/engine/policy/wasm/internal/wasmtest"
)

// thousand gives the code that turns a thousand times, with the local 2.
func thousand() []byte {
	return wasmtest.Cat(opLoop, void, opLocalGet, 2, wasmtest.I32Const(1), opI32Add, 0x22, 2, wasmtest.I32Const(1000), opI32LtU, opBranchIf, 0, opEnd)
}

// failing are modules that fail after a thousand turns of a loop, and how. Functions are
// 0 env.log, 1 proc_exit, 2 one that calls itself, 3 one that divides by zero; types are
// those of the first two, then nothing to nothing and i32 to i32.
func failing() map[string]struct {
	module []byte
	want   string
} {
	type entry = struct {
		module []byte
		want   string
	}
	i32, zero := wasmtest.I32Const, wasmtest.I64Const(0)
	all := map[string]entry{}
	for name, c := range map[string]struct {
		code []byte // leaves an i64
		want string
	}{
		"unreachable":                  {[]byte{opUnreachable}, "it trapped: unreachable"},
		"division by zero":             {wasmtest.Cat(wasmtest.I64Const(1), zero, 0x7f), "it trapped: integer divide by zero"},
		"overflow":                     {wasmtest.Cat(wasmtest.I64Const(-1<<63), wasmtest.I64Const(-1), 0x7f), "it trapped: integer overflow"},
		"truncation of no number":      {wasmtest.Cat(0x43, "\x00\x00\xc0\x7f", 0xae), "it trapped: invalid conversion to integer"},
		"load out of memory":           {wasmtest.Cat(i32(-1), opI64Load, 3, 0), "it trapped: out of bounds memory access"},
		"store out of memory":          {wasmtest.Cat(i32(-1), i32(0), opI32Store, 2, 0, zero), "it trapped: out of bounds memory access"},
		"memory.fill out of memory":    {wasmtest.Cat(i32(-1), i32(0), i32(64), 0xfc, 11, 0, zero), "it trapped: out of bounds memory access"},
		"table.get out of the table":   {wasmtest.Cat(i32(7), 0x25, 0, opDrop, zero), "it trapped: invalid table access"},
		"indirect call of nothing":     {wasmtest.Cat(i32(1), 0x11, 2, 0, zero), "it trapped: invalid table access"},
		"indirect call beyond":         {wasmtest.Cat(i32(7), 0x11, 2, 0, zero), "it trapped: invalid table access"},
		"indirect call of another":     {wasmtest.Cat(i32(0), i32(0), 0x11, 3, 0, opDrop, zero), "it trapped: indirect call type mismatch"},
		"recursion":                    {wasmtest.Cat(opCall, 2, zero), tooDeep},
		"trap in what is called":       {wasmtest.Cat(opCall, 3, zero), "it trapped: integer divide by zero"},
		"a log that is none":           {wasmtest.Cat(i32(-1), i32(64), opCall, 0, opDrop, zero), noLogRequest},
		"an end":                       {wasmtest.Cat(i32(3), opCall, 1, zero), "it ended with exit code 3"},
		"an answer out of memory":      {packed(1<<31-1, 64), "its answer of 64 bytes at 0x7fffffff is not all in its memory of 131072 bytes"},
		"an answer that is too long":   {packed(0, 1<<30), "its answer is too long (1073741824 bytes): it has more than the 65536 bytes that answerBytes allows"},
		"an answer that is an error":   {packed(answerAt, 1<<31|2), `it answers with an error: "no"`},
		"an answer that is no message": {packed(answerAt, 2), "its answer is no ValidateContainerAdjustmentResponse: it has a field 13 of type 6, which is not known"},
	} {
		g := new(guest)
		g.ImportFunc("env", "log", g.Type([]byte{wasmtest.I32, wasmtest.I32}, []byte{wasmtest.I64}))
		g.ImportFunc("wasi_snapshot_preview1", "proc_exit", g.Type([]byte{wasmtest.I32}, nil))
		g.begin()
		all[name] = entry{failingModule(g, c.code), c.want}
	}
	return all
}

func failingModule(g *guest, code []byte) []byte {
	g.Func(g.nothing, nil, opCall, 2)
	g.Func(g.nothing, nil, wasmtest.I32Const(1), wasmtest.I32Const(0), 0x6d, opDrop)
	g.Table(wasmtest.FuncRef, 2, 2)
	g.Elements(0, 3)
	g.Data(answerAt, []byte("no"))
	g.locals = []byte{wasmtest.I32}
	g.validate = wasmtest.Cat(thousand(), code)
	return g.module()
}

// Where no more can be set, nobody is told to.
func TestMostFuel(t *testing.T) {
	g := newGuest()
	g.validate = wasmtest.Cat(forever(), wasmtest.I64Const(0))
	if got := failure(mustLoad(t, g.module(), wasm.Config{Fuel: wasm.MaxFuel}), middling()); got != "it ran out of fuel: it burnt the 50000000 that fuel allows, and no more can be set" {
		t.Errorf("failure: %s", got)
	}
}

// However a decision fails, its cost is all that was burnt: a module that may burn as
// much fails in the same way at the same cost, one that may burn less runs out of
// fuel, and all of what it may is what it costs then.
func TestFuelOfFailures(t *testing.T) {
	const turns = 1000 * 7 // simple instructions
	for name, c := range failing() {
		t.Run(name, func(t *testing.T) {
			judge := func(fuel uint64) (uint64, string) {
				t.Helper()
				v := mustLoad(t, c.module, wasm.Config{Fuel: fuel}).Judge(t.Context(), middling())
				if len(v.Costs) != 1 || v.Costs[0].Policy != "policy" || len(v.Failures) != 1 {
					t.Fatalf("verdict: %+v", v)
				}
				return v.Costs[0].Fuel, v.Failures[0].Message
			}
			burnt, failure := judge(0)
			if failure != c.want || burnt <= turns || burnt >= wasm.DefaultFuel {
				t.Errorf("%d burnt, %s; want more than %d, %s", burnt, failure, turns, c.want)
			}
			if again, failure := judge(burnt); failure != c.want || again != burnt {
				t.Errorf("with exactly %d: %d burnt, %s", burnt, again, failure)
			}
			want := fmt.Sprintf("it ran out of fuel: it burnt the %d that fuel allows; if it needs more, set fuel, up to 50000000", burnt-1)
			if less, failure := judge(burnt - 1); failure != want || less != burnt-1 {
				t.Errorf("with one less than %d: %d burnt, %s", burnt, less, failure)
			}
		})
	}
}
