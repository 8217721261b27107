package wasm_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/engine/policy/wasm"
	"github.com/nri-guard/nri-guard/engine/policy/wasm/internal/wasmtest"
)

const (
	noFuel  = "it ran out of fuel: it burnt the 10000000 that fuel allows; if it needs more, set fuel, up to 50000000"
	tooDeep = "its calls are nested too deeply: they need more than the 16777216 bytes of stack that limits.stackBytes allows"
)

// hostile are modules that do their worst when they are asked, and what they must
// fail with.
func hostile() map[string]struct {
	module []byte
	want   string
} {
	type entry = struct {
		module []byte
		want   string
	}
	all := map[string]entry{}
	add := func(name, want string, make func(g *guest)) {
		g := newGuest()
		make(g)
		all[name] = entry{g.module(), want}
	}
	zero := wasmtest.I64Const(0)
	add("loop", noFuel, func(g *guest) { g.validate = wasmtest.Cat(forever(), zero) })
	// Each result is needed for the next, or the compiler would leave them out.
	add("loop around much code", noFuel, func(g *guest) {
		g.locals = []byte{wasmtest.I32}
		g.validate = wasmtest.Cat(forever(wasmtest.Repeat(8_000, opLocalGet, 2, opLocalGet, 0, 0x6c, opLocalSet, 2)), zero)
	})
	add("loop around divisions", noFuel, func(g *guest) {
		g.locals = []byte{wasmtest.I64}
		g.validate = wasmtest.Cat(forever(wasmtest.Repeat(1_000, opLocalGet, 2, wasmtest.I64Const(3), 0x7f, wasmtest.I64Const(1<<62), 0x84, opLocalSet, 2)), zero)
	})
	add("loop around square roots", noFuel, func(g *guest) {
		g.locals = []byte{wasmtest.F64}
		g.validate = wasmtest.Cat(0x44, "\x01\x02\x03\x04\x05\x06\x07\x40", opLocalSet, 2,
			forever(opLocalGet, 2, wasmtest.Repeat(1_000, 0x9f), opLocalSet, 2), zero)
	})
	add("loop over memory", noFuel, func(g *guest) {
		// Each load depends on the one before it and misses every cache.
		g.memory = [2]int{256, -1}
		g.locals = []byte{wasmtest.I32}
		step := wasmtest.Cat(opLocalGet, 2, wasmtest.I32Const(0x10fffc), opI32Add, wasmtest.I32Const(0xfffffc), 0x71, opLocalSet, 2,
			opLocalGet, 2, opLocalGet, 2, opI32Load, 2, 0, opI32Add, wasmtest.I32Const(0xfffffc), 0x71, opLocalSet, 2)
		g.validate = wasmtest.Cat(forever(wasmtest.Repeat(100, step)), zero)
	})
	add("tree of calls", noFuel, func(g *guest) {
		f := g.Func(g.nothing, nil)
		for range 40 {
			f = g.Func(g.nothing, nil, opCall, wasmtest.U(f), opCall, wasmtest.U(f))
		}
		g.validate = wasmtest.Cat(opCall, wasmtest.U(f), zero)
	})
	add("tree of calls with many locals", noFuel, func(g *guest) {
		locals := wasmtest.Repeat(1_500, wasmtest.I64)
		f := g.Func(g.nothing, locals)
		for range 40 {
			f = g.Func(g.nothing, locals, opCall, wasmtest.U(f), opCall, wasmtest.U(f))
		}
		g.validate = wasmtest.Cat(opCall, wasmtest.U(f), zero)
	})
	add("recursion", tooDeep, func(g *guest) {
		g.validate = wasmtest.Cat(opCall, g.Func(g.nothing, nil, opCall, 0), zero)
	})
	add("recursion with many locals", tooDeep, func(g *guest) {
		locals := wasmtest.Repeat(1_500, wasmtest.I64)
		g.validate = wasmtest.Cat(opCall, g.Func(g.nothing, locals, opCall, 0, opLocalGet, wasmtest.U(1_000), opDrop), zero)
	})
	add("indirect recursion", tooDeep, func(g *guest) {
		g.Table(wasmtest.FuncRef, 1, 1)
		f := g.Func(g.nothing, nil, wasmtest.I32Const(0), 0x11, g.nothing, 0)
		g.Elements(0, f)
		g.validate = wasmtest.Cat(opCall, f, zero)
	})
	add("recursion of two", tooDeep, func(g *guest) {
		g.Func(g.nothing, nil, opCall, 1)
		g.validate = wasmtest.Cat(opCall, g.Func(g.nothing, nil, opCall, 0), zero)
	})
	bulk := func(name string, make func(g *guest) []byte) {
		want := noFuel
		if name == "small memory.fill" { // for which there is more fuel than stack
			want = tooDeep
		}
		add(name+" in a recursion", want, func(g *guest) {
			g.memory = [2]int{256, -1}
			g.validate = wasmtest.Cat(opCall, g.Func(g.nothing, nil, make(g), opCall, 0), zero)
		})
		add(name+" in an indirect recursion", want, func(g *guest) {
			g.memory = [2]int{256, -1}
			one := make(g)
			table := g.Table(wasmtest.FuncRef, 1, 1)
			f := g.Func(g.nothing, nil, one, wasmtest.I32Const(0), 0x11, g.nothing, table)
			g.Element(2, table, wasmtest.I32Const(0), opEnd, 0, 1, f)
			g.validate = wasmtest.Cat(opCall, f, zero)
		})
		add(name, noFuel, func(g *guest) {
			g.memory = [2]int{256, -1}
			one := make(g)
			g.validate = wasmtest.Cat(forever(one), zero)
		})
		add(name+" in a tree of calls", noFuel, func(g *guest) {
			g.memory = [2]int{256, -1}
			f := g.Func(g.nothing, nil, make(g))
			for range 30 {
				f = g.Func(g.nothing, nil, opCall, wasmtest.U(f), opCall, wasmtest.U(f))
			}
			g.validate = wasmtest.Cat(opCall, wasmtest.U(f), zero)
		})
	}
	i32 := wasmtest.I32Const
	const most = 256 << 16
	bulk("memory.fill", func(g *guest) []byte { return wasmtest.Cat(i32(0), i32(1), i32(most), 0xfc, 11, 0) })
	bulk("memory.copy", func(g *guest) []byte { return wasmtest.Cat(i32(1), i32(0), i32(most-1), 0xfc, 10, 0, 0) })
	bulk("memory.init", func(g *guest) []byte {
		g.Data(-1, make([]byte, 1<<20))
		return wasmtest.Cat(i32(0), i32(0), i32(1<<20), 0xfc, 8, 0, 0)
	})
	bulk("small memory.fill", func(g *guest) []byte { return wasmtest.Cat(i32(0), i32(1), i32(0), 0xfc, 11, 0) })
	bulk("table.fill", func(g *guest) []byte {
		g.Table(wasmtest.FuncRef, 60_000, 60_000)
		return wasmtest.Cat(i32(0), 0xd0, wasmtest.FuncRef, i32(60_000), 0xfc, 17, 0)
	})
	bulk("table.copy", func(g *guest) []byte {
		g.Table(wasmtest.FuncRef, 60_000, 60_000)
		return wasmtest.Cat(i32(0), i32(1), i32(59_999), 0xfc, 14, 0, 0)
	})
	bulk("table.grow by nothing", func(g *guest) []byte {
		g.Table(wasmtest.FuncRef, 60_000, -1)
		return wasmtest.Cat(0xd0, wasmtest.FuncRef, i32(0), 0xfc, 15, 0, opDrop)
	})
	bulk("table.grow", func(g *guest) []byte {
		g.Table(wasmtest.FuncRef, 1, -1)
		return wasmtest.Cat(0xd0, wasmtest.FuncRef, i32(1), 0xfc, 15, 0, opDrop)
	})
	bulk("memory.grow by nothing", func(g *guest) []byte { return wasmtest.Cat(i32(0), opMemoryGrow, 0, opDrop) })
	bulk("memory.grow", func(g *guest) []byte {
		g.memory = [2]int{1, -1}
		return wasmtest.Cat(i32(1), opMemoryGrow, 0, opDrop)
	})
	bulk("memory.grow by eight", func(g *guest) []byte {
		g.memory = [2]int{1, -1}
		return wasmtest.Cat(i32(8), opMemoryGrow, 0, opDrop)
	})
	add("memory to the bound", "it trapped: unreachable (it has 256 of the 256 pages of memory that memoryPages allows)", func(g *guest) {
		g.memory = [2]int{2, -1}
		g.validate = wasmtest.Cat(opLoop, void, i32(1), opMemoryGrow, 0, i32(-1), 0x47, opBranchIf, 0, opEnd, opUnreachable)
	})
	add("references to functions", noFuel, func(g *guest) {
		g.Table(wasmtest.FuncRef, 1, 1)
		f := g.Func(g.nothing, nil)
		g.Elements(0, f)
		g.validate = wasmtest.Cat(forever(wasmtest.Repeat(1_000, 0xd2, wasmtest.U(f), opDrop)), zero)
	})
	logging := func(size int32) func(g *guest) {
		return func(g *guest) {
			*g = *newLogger()
			g.validate = wasmtest.Cat(i32(0), i32(0x18), i32(1<<16), 0xfc, 11, 0, forever(i32(0), i32(size), opCall, 0, opDrop), zero)
		}
	}
	add("logs of many fields", noFuel, logging(1<<16))
	add("a log that is too long", noLogRequest, logging(1<<16+1))
	add("counters of the same names", noFuel, func(g *guest) {
		for _, name := range []string{"nri-guard fuel", "nri-guard depth", "nri-guard fuel'"} {
			g.Export(name, wasmtest.GlobalKind, g.Global(wasmtest.I64, true, wasmtest.I64Const(1<<62)))
		}
		g.validate = wasmtest.Cat(forever(wasmtest.Repeat(3, wasmtest.I64Const(1<<62), opGlobalSet, 0)), zero)
	})
	inFree := func(g *guest, code ...any) {
		asked := g.Global(wasmtest.I32, true, i32(0))
		g.validate = wasmtest.Cat(i32(1), opGlobalSet, asked, zero)
		g.free = wasmtest.Cat(opGlobalGet, asked, opIf, void, wasmtest.Cat(code...), opEnd)
	}
	add("loop in free", noFuel, func(g *guest) { inFree(g, forever()) })
	add("trap in free", "it trapped: unreachable", func(g *guest) { inFree(g, opUnreachable) })
	add("loop in malloc", noFuel, func(g *guest) {
		g.malloc = wasmtest.Cat(opLocalGet, 0, i32(64), opI32GtU, opIf, void, forever(), opEnd, i32(requestAt))
	})
	add("unreachable", "it trapped: unreachable", func(g *guest) { g.validate = []byte{opUnreachable} })
	add("division by zero", "it trapped: integer divide by zero", func(g *guest) {
		g.validate = wasmtest.Cat(wasmtest.I64Const(1), zero, 0x7f)
	})
	add("out of memory's bounds", "it trapped: out of bounds memory access", func(g *guest) {
		g.validate = wasmtest.Cat(i32(-1), opI64Load, 3, 0)
	})
	add("indirect call of nothing", "it trapped: invalid table access", func(g *guest) {
		g.Table(wasmtest.FuncRef, 1, 1)
		g.validate = wasmtest.Cat(i32(0), 0x11, g.nothing, 0, zero)
	})
	return all
}

// Whatever a module does when it is asked is a failure with its reason, within 100
// ms of processor time, and the next decision works.
func TestHostile(t *testing.T) {
	for name, c := range hostile() {
		t.Run(name, func(t *testing.T) {
			p := mustLoad(t, c.module, wasm.Config{})
			big := reference(t)
			failure(p, small()) // what is done once is not part of it
			used := processorTime(func() {
				if got := failure(p, big); got != c.want {
					t.Errorf("failure: %q, want %q", got, c.want)
				}
			})
			if used > 100*time.Millisecond && !raced {
				t.Errorf("it took %v of processor time", used)
			}
			if got := failure(p, small()); got != "" {
				t.Errorf("the next decision fails: %s", got)
			}
		})
	}
}

// processorTime is what a function takes of a processor, whatever else runs. The
// least of a few, since other processes evict what is in the caches.
func processorTime(f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	least := time.Hour
	for range 3 {
		before := threadTime()
		f()
		least = min(least, threadTime()-before)
	}
	return least
}

func threadTime() time.Duration {
	var u syscall.Rusage
	const thread = 1 // RUSAGE_THREAD
	if err := syscall.Getrusage(thread, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Modules that do their worst while they are set up are not loaded.
func TestHostileSetUp(t *testing.T) {
	for name, c := range hostileSetUp() {
		g := newGuest()
		c.make(g)
		if _, err := load(t, g.module(), wasm.Config{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// hostileSetUp are modules that do their worst before they are asked.
func hostileSetUp() map[string]struct {
	make func(g *guest)
	want string
} {
	const noStartFuel = "it ran out of fuel: it burnt the 20000000 that startFuel allows; if it needs more, set startFuel, up to 50000000"
	return map[string]struct {
		make func(g *guest)
		want string
	}{
		"start function": {func(g *guest) { g.Start(g.Func(g.nothing, nil, forever())) },
			"it cannot be set up: its start function: " + noStartFuel},
		"deep start function": {func(g *guest) { g.Start(g.Func(g.nothing, nil, opCall, 0)) },
			"it cannot be set up: its start function: its calls are nested too deeply"},
		"start function that traps": {func(g *guest) { g.Start(g.Func(g.nothing, nil, opUnreachable)) },
			"it cannot be set up: its start function: it trapped: unreachable"},
		"initialize": {func(g *guest) { g.Export("_initialize", wasmtest.FunctionKind, g.Func(g.nothing, nil, forever())) },
			"it cannot be set up: _initialize: " + noStartFuel},
		"configure": {func(g *guest) {
			g.Export("plugin_configure", wasmtest.FunctionKind, g.Func(g.pair, nil, forever(), wasmtest.I64Const(0)))
		}, "it cannot be set up: plugin_configure: " + noStartFuel},
		"data beyond memory": {func(g *guest) { g.Data(2<<16-1, []byte("ab")) }, "it cannot be instantiated: "},
	}
}

// hostileNames are custom sections of names that lie about what is in them. Such a
// section means nothing: a module is what it is without.
func hostileNames() map[string][]byte {
	all := map[string][]byte{}
	for _, n := range []int{1, 100_000_000, 1<<32 - 1} {
		count := wasmtest.U(n)
		for name, content := range map[string][]byte{
			"module":           wasmtest.Cat(0, count),
			"functions":        wasmtest.Cat(1, wasmtest.Vec(count)),
			"locals":           wasmtest.Cat(2, wasmtest.Vec(count)),
			"locals of one":    wasmtest.Cat(2, wasmtest.Vec(wasmtest.Cat(1, 0, count))),
			"a function's":     wasmtest.Cat(1, wasmtest.Vec(wasmtest.Cat(1, 0, count))),
			"one of no number": wasmtest.Cat(9, count),
		} {
			g := newGuest()
			g.validate = []byte{opUnreachable}
			g.Custom("name", content)
			all[fmt.Sprintf("names: %s, %d", name, n)] = g.module()
		}
	}
	return all
}

// Names that lie do not keep a module from being loaded, nor cost anything.
func TestHostileNames(t *testing.T) {
	for name, module := range hostileNames() {
		if got := failure(mustLoad(t, module, wasm.Config{}), small()); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Commands that do their worst.
func TestHostileCommand(t *testing.T) {
	for name, c := range hostileCommands() {
		t.Run(name, func(t *testing.T) {
			p := mustLoad(t, c.make(newCommand()), wasm.Config{})
			used := processorTime(func() {
				if got := failure(p, small()); got != c.want {
					t.Errorf("failure: %q, want %q", got, c.want)
				}
			})
			if used > 100*time.Millisecond && !raced {
				t.Errorf("it took %v of processor time", used)
			}
		})
	}
}

// hostileCommands are commands that do their worst, and what they must fail with.
func hostileCommands() map[string]struct {
	make func(c *command) []byte
	want string
} {
	i32 := wasmtest.I32Const
	return map[string]struct {
		make func(c *command) []byte
		want string
	}{
		"loop": {func(c *command) []byte { return c.module(forever()) }, noFuel},
		"clock": {func(c *command) []byte {
			read := wasmtest.Cat(i32(1), wasmtest.I64Const(0), i32(64), opCall, c.calls["clock_time_get"], opDrop)
			return c.module(forever(read))
		}, noFuel},
		"randomness": {func(c *command) []byte {
			return c.module(forever(i32(0), i32(1<<16), opCall, c.calls["random_get"], opDrop))
		}, noFuel},
		"polls": {func(c *command) []byte {
			return c.module(forever(i32(0), i32(4096), i32(1), i32(64), opCall, c.calls["poll_oneoff"], opDrop))
		}, noFuel},
		"many subscriptions": {func(c *command) []byte {
			return c.module(forever(i32(0), i32(0), i32(1000), i32(64), opCall, c.calls["poll_oneoff"], opDrop))
		}, noFuel},
		"flood of output":      {func(c *command) []byte { return c.module(forever(c.write(1, 0, 4096))) }, "its answer is too long: it has more than the 65536 bytes that answerBytes allows"},
		"flood of nothing":     {func(c *command) []byte { return c.module(forever(c.write(1, 0, 0))) }, noFuel},
		"flood of errors":      {func(c *command) []byte { return c.module(forever(c.write(2, 0, 1<<16))) }, noFuel},
		"parts that repeat":    {func(c *command) []byte { return c.module(forever(wide(c, 60_000))) }, noFuel},
		"exit code":            {func(c *command) []byte { return c.module(i32(3), opCall, c.calls["proc_exit"]) }, "it ended with exit code 3"},
		"trap after an answer": {func(c *command) []byte { return c.module(c.write(1, 0, 0), opUnreachable) }, "it trapped: unreachable"},
		"no answer":            {func(c *command) []byte { return c.module() }, `its answer is not as it must be: it is empty, and {"violations": []} is what allows`},
	}
}

// wide gives the code that writes a great many parts to standard error, which are
// all the same.
func wide(c *command, parts int) []byte {
	return wasmtest.Cat(wasmtest.I32Const(2), wasmtest.I32Const(0), wasmtest.I32Const(int32(min(parts, 1<<14))), wasmtest.I32Const(1<<16),
		opCall, c.calls["fd_write"], opDrop)
}

// Decisions about one module do not keep another from deciding.
func TestHostileNeighbour(t *testing.T) {
	bad, good := newGuest(), newGuest()
	bad.validate = wasmtest.Cat(forever(), wasmtest.I64Const(0))
	good.answer([]byte("\x08\x01\x12\x02no"))
	p, err := wasm.Load(t.Context(), []wasm.Config{
		{Name: "bad", Path: file(t, bad.module())}, {Name: "good", Path: file(t, good.module())},
	}, wasm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v := p.Judge(context.Background(), reference(t))
	if len(v.Failures) != 1 || v.Failures[0].Policy != "bad" || len(v.Violations) != 1 || v.Violations[0].Policy != "good" || v.Violations[0].Message != "no" {
		t.Errorf("verdict: %+v", v)
	}
	if len(v.Costs) != 2 || v.Costs[0].Fuel != wasm.DefaultFuel || v.Costs[1].Fuel == 0 {
		t.Errorf("costs: %+v", v.Costs)
	}
}
