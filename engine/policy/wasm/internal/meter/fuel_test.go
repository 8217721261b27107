package meter

import (
	"context"
	"fmt"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	wt "github.com/nri-guard/nri-guard/engine/policy/wasm/internal/wasmtest"
)

// get, set and tee are the instructions of locals.
func get(i int) []byte { return wt.Op(0x20, i) }
func set(i int) []byte { return wt.Op(0x21, i) }

const (
	drop  = 0x1a
	end   = 0x0b
	empty = 0x40 // a block's type: no parameters and no results
)

// loop repeats code until local 0, counted down, is 0.
func loop(code ...any) []byte {
	return wt.Cat(0x03, empty, wt.Cat(code...), get(0), wt.I32Const(1), 0x6b, 0x22, 0, 0x0d, 0, end)
}

// function is a module with one function of one i32 parameter, exported as f, and whatever most instructions need.
func module(results []byte, locals []byte, code ...any) []byte {
	var b wt.Builder
	typ := b.Type([]byte{wt.I32}, results)
	b.Table(wt.FuncRef, 10, 20)
	b.Memory(1, 3)
	b.Global(wt.I32, true, wt.I32Const(0))
	f := b.Func(typ, locals, code...)
	leaf := b.Func(b.Type(nil, nil), nil)
	b.Elements(0, leaf)
	b.Data(-1, make([]byte, 100))
	b.Export("f", wt.FunctionKind, f)
	b.Export("memory", wt.MemoryKind, 0)
	return b.Bytes()
}

// TestCharge holds the exact fuel of small functions: entry 4, and a quarter for each local.
func TestCharge(t *testing.T) {
	none := []byte{}
	for _, test := range []struct {
		name string
		code []byte
		arg  uint64
		want int64
	}{
		{"nothing", nil, 0, 4},
		{"cheap ones", wt.Cat(get(0), get(0), 0x6a, drop), 0, 4 + 4},
		{"nothing for nop and block", wt.Cat(0x01, 0x02, empty, 0x01, end), 0, 4},
		{"a loop, each turn", loop(), 1, 4 + 5},
		{"a loop, each turn of seven", loop(), 7, 4 + 7*5},
		{"a loop's body", loop(get(0), drop), 7, 4 + 7*7},
		{"the arm that is taken", wt.Cat(get(0), 0x04, empty, get(0), drop, 0x05, get(0), get(0), 0x6a, drop, end), 1, 4 + 2 + 2},
		{"the other arm", wt.Cat(get(0), 0x04, empty, get(0), drop, 0x05, get(0), get(0), 0x6a, drop, end), 0, 4 + 2 + 4},
		{"what a branch leaves out", wt.Cat(0x02, empty, get(0), 0x0d, 0, get(0), drop, end), 1, 4 + 2},
		{"what a branch does not leave out", wt.Cat(0x02, empty, get(0), 0x0d, 0, get(0), drop, end), 0, 4 + 2 + 2},
		{"leaving by a branch", wt.Cat(get(0), 0x0d, 0, get(0), drop), 1, 4 + 2},
		{"leaving by a table", wt.Cat(0x02, empty, get(0), 0x0e, 1, 0, 1, end, get(0), drop), 1, 4 + 9},
		{"returning", wt.Cat(0x0f, get(0), drop), 0, 4 + 1},
		{"a call", wt.Cat(0x10, 1), 0, 4 + 16 + 4},
		{"an indirect call", wt.Cat(wt.I32Const(0), 0x11, 1, 0), 0, 4 + 1 + 24 + 4},
		{"a division", wt.Cat(wt.I32Const(5), wt.I32Const(2), 0x6d, drop), 0, 4 + 3 + 8},
		{"a load from a small memory", wt.Cat(get(0), 0x28, 0, 0, drop), 0, 4 + 2 + 4},
		{"filling nothing", wt.Cat(get(0), get(0), get(0), 0xfc, 11, 0), 0, 4 + 3 + 40},
		{"filling 15 bytes", wt.Cat(wt.I32Const(0), get(0), get(0), 0xfc, 11, 0), 15, 4 + 3 + 40},
		{"filling 64 bytes", wt.Cat(wt.I32Const(0), get(0), get(0), 0xfc, 11, 0), 64, 4 + 3 + 40 + 4},
		{"copying 32 bytes", wt.Cat(wt.I32Const(0), get(0), get(0), 0xfc, 10, 0, 0), 32, 4 + 3 + 12 + 2},
		{"initialising 16 bytes", wt.Cat(wt.I32Const(0), wt.I32Const(0), get(0), 0xfc, 8, 0, 0), 16, 4 + 3 + 12 + 1},
		{"filling a table", wt.Cat(wt.I32Const(0), 0xd0, 0x70, get(0), 0xfc, 17, 0), 9, 4 + 3 + 12 + 9},
		{"growing by a page", wt.Cat(get(0), 0x40, 0, drop), 1, 4 + 2 + 200 + 20_000},
		{"growing by too much", wt.Cat(get(0), 0x40, 0, drop), 4, 4 + 2 + 200 + 80_000},
		{"growing by nothing", wt.Cat(get(0), 0x40, 0, drop), 0, 4 + 2 + 200},
		{"growing a table", wt.Cat(0xd0, 0x70, get(0), 0xfc, 15, 0, drop), 3, 4 + 3 + 200 + 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := load(t, module(none, nil, test.code), Limits{})
			for range 2 {
				if _, burnt, err := m.call("f", 1<<40, test.arg); err != nil || burnt != test.want {
					t.Errorf("burnt %d, expected %d; %v", burnt, test.want, err)
				}
			}
			// Exactly as much is enough, one less is not.
			if _, _, err := load(t, module(none, nil, test.code), Limits{}).call("f", test.want, test.arg); err != nil {
				t.Errorf("with exactly what it takes: %v", err)
			}
			if _, burnt, err := load(t, module(none, nil, test.code), Limits{}).call("f", test.want-1, test.arg); err == nil || burnt != -1 {
				t.Errorf("with one less: burnt %d, %v", burnt, err)
			}
		})
	}
}

// trapping are codes that trap, and what they burn with the block that traps; local 0 is 0.
var trapping = []struct {
	name string
	code []byte

	want int64
}{
	{"unreachable", []byte{0x00}, 1},
	{"unreachable, after a block", wt.Cat(0x02, empty, get(0), drop, end, 0x00), 2 + 1},
	{"division by zero", wt.Cat(wt.I32Const(1), get(0), 0x6d, drop), 3 + 8},
	{"division of the least number", wt.Cat(wt.I32Const(-1<<31), wt.I32Const(-1), 0x6d, drop), 3 + 8},
	{"remainder by zero", wt.Cat(wt.I32Const(1), get(0), 0x70, drop), 3 + 8},
	{"remainder by a long zero", wt.Cat(wt.I64Const(1), wt.I64Const(0), 0x82, drop), 3 + 12},
	{"truncation of no number", wt.Cat(0x43, "\x00\x00\xc0\x7f", 0xa8, drop), 2 + 4},
	{"truncation of too large a number", wt.Cat(0x44, "\x00\x00\x00\x00\x00\x00\xf0\x7f", 0xb1, drop), 2 + 4},
	{"load", wt.Cat(wt.I32Const(-1), 0x28, 0, 0, drop), 2 + 4},
	{"load of a lane", wt.Cat(wt.I32Const(-1), 0xfd, 12, make([]byte, 16), 0xfd, 84, 0, 0, 0, drop), 2 + 2 + 4},
	{"store", wt.Cat(wt.I32Const(-1), get(0), 0x36, 0, 0), 2 + 4},
	{"memory.fill", wt.Cat(wt.I32Const(-1), get(0), wt.I32Const(64), 0xfc, 11, 0), 3 + 40 + 4},
	{"memory.copy", wt.Cat(wt.I32Const(-1), get(0), wt.I32Const(64), 0xfc, 10, 0, 0), 3 + 12 + 4},
	{"memory.init", wt.Cat(get(0), wt.I32Const(99), wt.I32Const(64), 0xfc, 8, 0, 0), 3 + 12 + 4},
	{"table.get", wt.Cat(wt.I32Const(10), 0x25, 0, drop), 2 + 6},
	{"table.set", wt.Cat(wt.I32Const(10), 0xd0, 0x70, 0x26, 0), 2 + 6},
	{"table.fill", wt.Cat(wt.I32Const(9), 0xd0, 0x70, wt.I32Const(9), 0xfc, 17, 0), 3 + 12 + 9},
	{"table.copy", wt.Cat(wt.I32Const(9), get(0), wt.I32Const(9), 0xfc, 14, 0, 0), 3 + 12 + 9},
	{"table.init", wt.Cat(get(0), get(0), wt.I32Const(9), 0xfc, 12, 0, 0), 3 + 12 + 9},
	{"call of nothing", wt.Cat(wt.I32Const(1), 0x11, 1, 0), 1 + 24},
	{"call of another type", wt.Cat(get(0), wt.I32Const(0), 0x11, 0, 0), 2 + 24 + 1},
	{"call beyond the table", wt.Cat(wt.I32Const(-1), 0x11, 1, 0), 1 + 24},
	{"after growing", wt.Cat(wt.I32Const(1), 0x40, 0, drop, wt.I32Const(-1), 0x28, 0, 0, drop), 4 + 200 + 20_000 + 4},
	{"after a load", wt.Cat(get(0), 0x28, 0, 0, drop, wt.I32Const(-1), 0x28, 0, 0, drop), 4 + 4 + 4},
	{"after a load and a length", wt.Cat(get(0), 0x28, 0, 0, get(0), wt.I32Const(64), 0xfc, 11, 0, wt.I32Const(-1), 0x28, 0, 0, drop), 5 + 4 + 40 + 4 + 4},
	{"after a call", wt.Cat(0x10, 1, wt.I32Const(-1), 0x28, 0, 0, drop), 16 + 4 + 2 + 4},
	{"in an arm", wt.Cat(get(0), 0x28, 0, 0, 0x45, 0x04, empty, wt.I32Const(-1), 0x28, 0, 0, drop, 0x05, get(0), drop, end), 3 + 4 + 2 + 4},
	{"behind an arm", wt.Cat(get(0), 0x45, 0x04, empty, get(0), 0x28, 0, 0, drop, end, wt.I32Const(-1), 0x28, 0, 0, drop), 3 + 2 + 4 + 2 + 4},
	{"behind no arm", wt.Cat(get(0), 0x04, empty, get(0), 0x28, 0, 0, drop, end, wt.I32Const(-1), 0x28, 0, 0, drop), 2 + 2 + 4},
}

// TestTrap holds that fuel is told to the unit where a function traps: all blocks until there, the one that traps as a whole, and what has
// been paid by length. So much is enough, one less is not.
func TestTrap(t *testing.T) {
	const before = 4 + 2 + 7*5 // entry, the counter, the loop
	for _, test := range trapping {
		t.Run(test.name, func(t *testing.T) {
			code := module(nil, []byte{wt.I32}, wt.I32Const(7), set(1),
				0x03, empty, get(1), wt.I32Const(1), 0x6b, 0x22, 1, 0x0d, 0, end, test.code)
			_, burnt, err := load(t, code, Limits{}).call("f", 1<<40, 0)
			if err == nil || burnt != before+test.want {
				t.Errorf("burnt %d, expected %d; %v", burnt, before+test.want, err)
			}
			if _, again, other := load(t, code, Limits{}).call("f", burnt, 0); other == nil || other.Error() != err.Error() || again != burnt {
				t.Errorf("with exactly that: burnt %d, %v; before %v", again, other, err)
			}
			if _, again, err := load(t, code, Limits{}).call("f", burnt-1, 0); err == nil || again != -1 {
				t.Errorf("with one less: burnt %d, %v", again, err)
			}
		})
	}
}

// TestLength holds that lengths are taken as they are meant: without sign, and before anything is done.
func TestLength(t *testing.T) {
	const fuel = 10_000_000
	for name, code := range map[string][]byte{
		"memory.fill": wt.Cat(wt.I32Const(0), wt.I32Const(0), get(0), 0xfc, 11, 0),
		"memory.copy": wt.Cat(wt.I32Const(0), wt.I32Const(0), get(0), 0xfc, 10, 0, 0),
		"memory.init": wt.Cat(wt.I32Const(0), wt.I32Const(0), get(0), 0xfc, 8, 0, 0),
		"table.fill":  wt.Cat(wt.I32Const(0), 0xd0, 0x70, get(0), 0xfc, 17, 0),
		"table.copy":  wt.Cat(wt.I32Const(0), wt.I32Const(0), get(0), 0xfc, 14, 0, 0),
		"table.init":  wt.Cat(wt.I32Const(0), wt.I32Const(0), get(0), 0xfc, 12, 0, 0),
		"table.grow":  wt.Cat(0xd0, 0x70, get(0), 0xfc, 15, 0, drop),
		"memory.grow": wt.Cat(get(0), 0x40, 0, drop),
	} {
		for _, length := range []uint64{1<<32 - 1, 1 << 31} {
			m := load(t, module(nil, nil, code), Limits{})
			if _, burnt, err := m.call("f", fuel, length); err == nil || burnt != -1 {
				t.Errorf("%s of %#x: burnt %d, %v; expected to be out of fuel", name, length, burnt, err)
			}
		}
	}
}

// TestDepth holds that calls nest as deeply as the stack allows, whichever way they call and return, and that what has returned does not count.
func TestDepth(t *testing.T) {
	var b wt.Builder
	typ := b.Type([]byte{wt.I32}, []byte{wt.I32})
	b.Table(wt.FuncRef, 10, 10)
	down := wt.Cat(get(0), wt.I32Const(1), 0x6b)
	until := func(call ...any) []byte {
		return wt.Cat(get(0), 0x45, 0x04, empty, wt.I32Const(0), 0x0f, end, wt.Cat(call...))
	}
	direct := b.Func(typ, nil, until(down, 0x10, 0))
	mutual := b.Func(typ, nil, until(down, 0x10, 2))
	b.Func(typ, nil, until(down, 0x10, mutual))
	indirect := b.Func(typ, nil, until(down, wt.I32Const(3), 0x11, typ, 0))
	branch := b.Func(typ, nil, 0x02, empty, get(0), 0x45, 0x0d, 0, down, 0x10, 4, 0x0c, 1, end, wt.I32Const(0))
	table := b.Func(typ, nil, get(0), 0x45, 0x04, empty, wt.I32Const(0), get(0), 0x0e, 1, 1, 1, end, down, 0x10, 5)
	b.Elements(0, 0, 1, 2, 3, 4, 5)
	for name, f := range map[string]int{"direct": direct, "mutual": mutual, "indirect": indirect, "branch": branch, "table": table} {
		b.Export(name, wt.FunctionKind, f)
	}
	repeat := b.Func(typ, nil, loop(wt.I32Const(100), 0x10, direct, drop), wt.I32Const(0))
	b.Export("repeat", wt.FunctionKind, repeat)
	limits := Limits{StackBytes: 64 << 10}
	for _, name := range []string{"direct", "mutual", "indirect", "branch", "table"} {
		m := load(t, b.Bytes(), limits)
		if _, _, err := m.call(name, 1<<40, 100); err != nil {
			t.Errorf("%s, 100 deep: %v", name, err)
		}
		if _, burnt, err := m.call(name, 1<<40, 1<<20); err == nil || burnt == -1 || !m.tooDeep() {
			t.Errorf("%s, without end: burnt %d, depth %d, %v", name, burnt, m.depth.Get(), err)
		}
	}
	if _, _, err := load(t, b.Bytes(), limits).call("repeat", 1<<40, 10_000); err != nil {
		t.Errorf("10,000 times 100 deep: %v", err)
	}
}

// TestReferences holds that references to functions are those of the module, in whichever order and however often they are taken.
func TestReferences(t *testing.T) {
	var b wt.Builder
	typ := b.Type([]byte{wt.I32}, []byte{wt.I32})
	table := b.Table(wt.FuncRef, 1, 1)
	for i := range 3 {
		b.Export(fmt.Sprint("own ", i), wt.FunctionKind, b.Func(typ, nil, get(0), wt.I32Const(int32(100*(i+1))), 0x6a))
	}
	put := func(f int) []byte { return wt.Cat(wt.I32Const(0), 0xd2, f, 0x26, table) }
	call := wt.Cat(get(0), wt.I32Const(0), 0x11, typ, table)
	b.Export("first", wt.FunctionKind, b.Func(typ, nil, put(2), put(0), call))
	b.Export("second", wt.FunctionKind, b.Func(typ, nil, put(0), put(2), put(1), put(2), call))
	b.Export("null", wt.FunctionKind, b.Func(typ, nil, 0xd2, 1, 0xd1))
	m := load(t, b.Bytes(), Limits{})
	for _, test := range []struct {
		name string
		want uint64
	}{{"first", 107}, {"second", 307}, {"null", 0}, {"first", 107}} {
		if results, _, err := m.call(test.name, 1<<40, 7); err != nil || results[0] != test.want {
			t.Errorf("%s: %v, %v; expected %d", test.name, results, err, test.want)
		}
	}
}

// TestStart holds that the start function does not run by itself and burns fuel.
func TestStart(t *testing.T) {
	var b wt.Builder
	typ := b.Type(nil, nil)
	b.Global(wt.I32, true, wt.I32Const(0))
	b.Export("ran", wt.GlobalKind, 0)
	b.Export("nri-guard start", wt.GlobalKind, 0)
	b.Export("nri-guard fuel", wt.GlobalKind, 0)
	b.Start(b.Func(typ, nil, wt.I32Const(1), 0x24, 0))
	m := load(t, b.Bytes(), Limits{})
	if !m.HasStart || m.StartExport == "nri-guard start" || m.FuelGlobal == "nri-guard fuel" {
		t.Fatalf("start %v as %q, fuel as %q", m.HasStart, m.StartExport, m.FuelGlobal)
	}
	if ran := m.instance.ExportedGlobal("ran"); ran.Get() != 0 {
		t.Error("it ran when the module was instantiated")
	}
	if _, burnt, err := m.call(m.StartExport, 100); err != nil || burnt != 6 {
		t.Errorf("burnt %d, %v", burnt, err)
	}
	if ran := m.instance.ExportedGlobal("ran"); ran.Get() != 1 {
		t.Error("it did not run")
	}
}

// TestGrowth holds that memories and tables grow to the limit and no further, whatever the module says.
func TestGrowth(t *testing.T) {
	for _, max := range []int{-1, 5, 1_000} {
		var b wt.Builder
		typ := b.Type([]byte{wt.I32}, []byte{wt.I32})
		b.Memory(1, max)
		b.Table(wt.ExternRef, 1, max)
		b.Export("memory", wt.FunctionKind, b.Func(typ, nil, get(0), 0x40, 0))
		b.Export("table", wt.FunctionKind, b.Func(typ, nil, 0xd0, 0x6f, get(0), 0xfc, 15, 0))
		m := load(t, b.Bytes(), Limits{MemoryPages: 10, TableEntries: 10})
		most := uint64(10)
		if max == 5 {
			most = 5
		}
		if got := uint64(m.Memories[0].Max); got != most {
			t.Errorf("maximum %d: %d pages, expected %d", max, got, most)
		}
		for _, name := range []string{"memory", "table"} {
			if results, _, err := m.call(name, 1<<40, most); err != nil || uint32(results[0]) != 1<<32-1 {
				t.Errorf("%s, maximum %d, by one too many: %v, %v", name, max, results, err)
			}
			if results, _, err := m.call(name, 1<<40, most-1); err != nil || results[0] != 1 {
				t.Errorf("%s, maximum %d: %v, %v", name, max, results, err)
			}
		}
	}
}

// TestHostTakesFuel holds that what the host takes while the guest calls it counts, and that it can take all.
func TestHostTakesFuel(t *testing.T) {
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	t.Cleanup(func() { _ = r.Close(ctx) })
	take := func(_ context.Context, m api.Module, n uint32) {
		fuel := m.ExportedGlobal("nri-guard fuel").(api.MutableGlobal)
		fuel.Set(fuel.Get() - uint64(n))
	}
	if _, err := r.NewHostModuleBuilder("env").NewFunctionBuilder().WithFunc(take).Export("take").Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	var b wt.Builder
	typ := b.Type([]byte{wt.I32}, nil)
	b.ImportFunc("env", "take", typ)
	b.Export("f", wt.FunctionKind, b.Func(typ, nil, get(0), 0x10, 0, get(0), 0x04, empty, get(0), drop, end))
	m := loadIn(t, r, b.Bytes(), Limits{})
	const own = 4 + 1 + 17 + 2 + 2
	if _, burnt, err := m.call("f", 1<<40, 1_000); err != nil || burnt != own+1_000 {
		t.Errorf("burnt %d, expected %d; %v", burnt, own+1_000, err)
	}
	if _, burnt, err := m.call("f", 2_000, 2_000); err == nil || burnt != -1 {
		t.Errorf("all taken: burnt %d, %v", burnt, err)
	}
}
