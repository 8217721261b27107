package wasm_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy/wasm"
	"github.com/nri-guard/nri-guard/engine/policy/wasm/internal/wasmtest"
)

// exclusive is a module that traps when two are in it at a time, or when it is asked
// more often than the test lets an instance be, and that spends some time.
func exclusive(calls int) []byte {
	g := newGuest()
	busy := g.Global(wasmtest.I32, true, wasmtest.I32Const(0))
	count := g.Global(wasmtest.I32, true, wasmtest.I32Const(0))
	g.locals = []byte{wasmtest.I32}
	g.validate = wasmtest.Cat(
		opGlobalGet, busy, opIf, void, opUnreachable, opEnd,
		wasmtest.I32Const(1), opGlobalSet, busy,
		opGlobalGet, count, wasmtest.I32Const(1), opI32Add, opGlobalSet, count,
		opGlobalGet, count, wasmtest.I32Const(int32(calls)), opI32GtU, opIf, void, opUnreachable, opEnd,
		opLoop, void, opLocalGet, 2, wasmtest.I32Const(1), opI32Add, 0x22, 2, wasmtest.I32Const(2000), opI32LtU, opBranchIf, 0, opEnd,
		wasmtest.I32Const(0), opGlobalSet, busy, wasmtest.I64Const(0))
	return g.module()
}

// A thousand decisions at a time: no instance serves two, or more than it may.
func TestConcurrent(t *testing.T) {
	for name, p := range map[string]*wasm.Program{
		"kept":    mustLoad(t, exclusive(7), wasm.Config{Calls: 7, Instances: 3}),
		"one":     mustLoad(t, exclusive(1), wasm.Config{Calls: 1, Instances: 1}),
		"command": mustLoad(t, says(`{"violations":[]}`), wasm.Config{}),
	} {
		r := middling()
		var wg sync.WaitGroup
		failures := make([]string, 1000)
		for i := range failures {
			wg.Go(func() { failures[i] = failure(p, r) })
		}
		wg.Wait()
		for _, f := range failures {
			if f != "" {
				t.Fatalf("%s: %s", name, f)
			}
		}
	}
}

// Where all instances are busy a decision waits until its deadline, or until one is
// given back.
func TestBusy(t *testing.T) {
	p := mustLoad(t, newGuest().module(), wasm.Config{Instances: 1})
	in, err := p.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	v := p.Judge(ctx, middling())
	if len(v.Failures) != 1 || v.Failures[0].Message != "all its instances were busy until the deadline; the configuration may allow more (instances)" {
		t.Errorf("busy: %+v", v)
	}
	if v := p.Judge(ctx, middling()); len(v.Failures) != 1 || v.Failures[0].Message != "it had no answer in time" {
		t.Errorf("too late: %+v", v)
	}
	waiting := make(chan string)
	go func() { waiting <- failure(p, middling()) }()
	p.Put(in)
	if got := <-waiting; got != "" {
		t.Errorf("given back: %s", got)
	}
}

// While an instance is busy another one is set up in the background, so that the next
// decision, and the one after a failure, finds it: without time it can wait for none.
func TestSpare(t *testing.T) {
	g := newGuest()
	g.Start(g.Func(g.nothing, []byte{wasmtest.I32}, opLoop, void, opLocalGet, 0, wasmtest.I32Const(1), opI32Add, 0x22, 0,
		wasmtest.I32Const(1_000_000), opI32LtU, opBranchIf, 0, opEnd)) // takes a while
	g.validate = []byte{opUnreachable}
	p := mustLoad(t, g.module(), wasm.Config{Instances: 2})
	none, cancel := context.WithCancel(t.Context())
	cancel()
	spare := func() *wasm.Instance {
		for {
			if in, err := p.Take(none); err == nil {
				return in
			}
			runtime.Gosched()
		}
	}
	busy := spare()
	p.Put(spare())
	if _, err := p.Take(none); err != nil {
		t.Errorf("given back: %v", err)
	}
	if _, err := p.Take(none); err == nil {
		t.Error("a third of two instances")
	}
	p.Put(busy)
	if got := failure(p, middling()); got != "it trapped: unreachable" {
		t.Errorf("failure: %s", got)
	}
	spare()
}

// The same request costs a fresh instance the same, in whichever program, and so it
// does where instances are kept that remember nothing.
func TestFuelIsTheSame(t *testing.T) {
	g := newGuest()
	g.validate = wasmtest.Cat(wasmtest.I32Const(requestAt), opI32Load, 2, 0, opDrop, wasmtest.I64Const(0))
	for name, module := range map[string][]byte{"nri": g.module(), "command": random()} {
		costs := map[uint64]int{}
		for range 3 {
			p := mustLoad(t, module, wasm.Config{})
			for range 20 {
				r := reference(t) // maps of its own, in orders of their own
				v := p.Judge(t.Context(), r)
				if len(v.Failures) > 0 {
					t.Fatal(v.Failures)
				}
				costs[v.Costs[0].Fuel]++
			}
		}
		if len(costs) != 1 {
			t.Errorf("%s: %v", name, costs)
		}
	}
}

// random is a command whose cost depends on what it draws, and on the time.
func random() []byte {
	c := newCommand()
	answer := `{"violations":[]}`
	c.Data(answerAt, []byte(answer))
	c.locals = []byte{wasmtest.I32}
	i32 := wasmtest.I32Const
	return c.module(
		i32(64), i32(4), opCall, c.calls["random_get"], opDrop,
		i32(1), wasmtest.I64Const(0), i32(72), opCall, c.calls["clock_time_get"], opDrop,
		i32(64), opI32Load, 2, 0, i32(72), opI32Load, 2, 0, opI32Add, i32(1023), 0x71, opLocalSet, 0,
		opLoop, void, opLocalGet, 0, i32(-1), opI32Add, 0x22, 0, i32(0), 0x4a, opBranchIf, 0, opEnd,
		c.write(1, answerAt, len(answer)))
}

// A module that keeps taking memory is replaced before it runs out.
func TestLeak(t *testing.T) {
	g := newGuest()
	g.validate = wasmtest.Cat(wasmtest.I32Const(3), opMemoryGrow, 0, wasmtest.I32Const(-1), 0x46, opIf, void, opUnreachable, opEnd, wasmtest.I64Const(0))
	p := mustLoad(t, g.module(), wasm.Config{MemoryPages: 32})
	for i := range 100 {
		if got := failure(p, middling()); got != "" {
			t.Fatalf("decision %d: %s", i, got)
		}
	}
}

// Memory is flat over many decisions, whatever becomes of the instances.
func TestMemoryIsFlat(t *testing.T) {
	trapping := newGuest()
	trapping.validate = []byte{opUnreachable}
	deep := newGuest()
	deep.validate = wasmtest.Cat(opCall, deep.Func(deep.nothing, nil, opCall, 0), wasmtest.I64Const(0))
	for name, c := range map[string]struct {
		module []byte
		calls  int
	}{
		"kept":     {newGuest().answer([]byte("\x08\x01\x12\x02no")).module(), 100_000},
		"trapping": {trapping.module(), 1_000},
		"deep":     {deep.module(), 200},
		"command":  {says(`{"violations":[{"msg":"no"}]}`), 1_000},
		// Each reference to a function would be an object of the host's.
		"referring": {referring(100_000), 100},
	} {
		p := mustLoad(t, c.module, wasm.Config{})
		r := middling()
		run := func(n int) uint64 {
			for range n {
				p.Judge(context.Background(), r)
			}
			return heap()
		}
		before := run(c.calls / 10)
		if after := run(c.calls); after > before+2<<20 {
			t.Errorf("%s: %d bytes after %d calls, %d before", name, after, c.calls, before)
		}
	}
}

// referring is a module that takes references to a function, so many for a request.
func referring(n int) []byte {
	g := newGuest()
	f := g.Func(g.nothing, nil)
	g.Table(wasmtest.FuncRef, 1, 1)
	g.Elements(0, f)
	g.locals = []byte{wasmtest.I32}
	g.validate = wasmtest.Cat(opLoop, void, wasmtest.Repeat(100, 0xd2, wasmtest.U(f), opDrop), opLocalGet, 2, wasmtest.I32Const(1), opI32Add,
		0x22, 2, wasmtest.I32Const(int32(n/100)), opI32LtU, opBranchIf, 0, opEnd, wasmtest.I64Const(0))
	return g.module()
}

// heap is what is in use when the garbage is gone. Spare instances may be in the
// making: the least of some attempts counts.
func heap() uint64 {
	least := ^uint64(0)
	for range 5 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		least = min(least, m.HeapAlloc)
	}
	return least
}

// A program that nobody refers to any more is freed, machine code included, even
// though decisions may have used it a moment ago.
func TestProgramsAreFreed(t *testing.T) {
	freed := make(chan struct{}, 10)
	for range 10 {
		p := mustLoad(t, newGuest().module(), wasm.Config{})
		failure(p, reference(t))
		runtime.AddCleanup(p, func(struct{}) { freed <- struct{}{} }, struct{}{})
	}
	for n := 0; n < 9; { // the last may be on the stack
		runtime.GC()
		select {
		case <-freed:
			n++
		case <-t.Context().Done():
			t.Fatal("programs are kept")
		case <-time.After(time.Millisecond):
		}
	}
}

// Off is not asked; enforcement is in what comes of it.
func TestEnforced(t *testing.T) {
	rejecting := newGuest().answer([]byte("\x08\x01\x12\x02no")).module()
	trapping := newGuest()
	trapping.validate = []byte{opUnreachable}
	p, err := wasm.Load(t.Context(), []wasm.Config{
		{Name: "rejects", Path: file(t, rejecting)}, {Name: "fails", Path: file(t, trapping.module())},
	}, wasm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []engine.Enforcement{engine.Deny, engine.Strip, engine.Audit, engine.Off} {
		v := p.Enforced(map[string]engine.Enforcement{"rejects": e, "fails": e}).Judge(t.Context(), middling())
		want := 1
		if e == engine.Off {
			want = 0
		}
		if len(v.Violations) != want || len(v.Failures) != want || want > 0 && (v.Violations[0].Enforcement != e || v.Failures[0].Enforcement != e) {
			t.Errorf("%v: %+v", e, v)
		}
	}
}

// The digest tells apart what decides differently, and nothing else.
func TestDigest(t *testing.T) {
	seen := map[string]string{}
	for name, c := range map[string]struct {
		module []byte
		config wasm.Config
	}{
		"one":            {newGuest().module(), wasm.Config{}},
		"another module": {exclusive(1), wasm.Config{}},
		"another fuel":   {newGuest().module(), wasm.Config{Fuel: 1000}},
		"another bound":  {newGuest().module(), wasm.Config{Limits: wasm.Limits{Nesting: 7}}},
	} {
		digest := fmt.Sprintf("%x", mustLoad(t, c.module, c.config).Digest())
		if other, ok := seen[digest]; ok {
			t.Errorf("%s and %s have one digest", name, other)
		}
		seen[digest] = name
		if again := fmt.Sprintf("%x", mustLoad(t, c.module, c.config).Digest()); again != digest {
			t.Errorf("%s has digests %s and %s", name, digest, again)
		}
	}
}
