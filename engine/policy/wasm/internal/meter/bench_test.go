package meter

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	wt "github.com/nri-guard/nri-guard/engine/policy/wasm/internal/wasmtest"
)

// kernels are small inner loops, as guests have them, and how often they turn; one has no loop.
func kernels() map[string]struct {
	module []byte
	turns  uint64
} {
	i32 := []byte{wt.I32}
	step := wt.Cat(get(2), wt.I32Const(1), 0x6a, 0x22, 2, get(0), 0x49, 0x0d, 0) // local 2 counts up to local 0
	count := wt.Cat(get(1), wt.I32Const(1), 0x6a, set(1))
	at := wt.Cat(get(2), wt.I32Const(0xfff8), 0x71)
	turn := func(code ...any) []byte {
		return module(i32, []byte{wt.I32, wt.I32, wt.I32}, 0x03, empty, wt.Cat(code...), step, end, get(1))
	}
	type kernel = struct {
		module []byte
		turns  uint64
	}
	return map[string]kernel{
		"add":  {turn(count), 300_000},
		"hash": {turn(get(1), at, 0x2d, 0, 0, 0x73, wt.I32Const(16777619), 0x6c, set(1)), 300_000},
		"scan": {turn(at, 0x2d, 0, 0, 0x45, 0x04, empty, count, end), 300_000},
		"sort": {turn(at, 0x22, 3, 0x28, 2, 0, get(3), 0x28, 2, 4, 0x4b, 0x04, empty, get(3), get(3), 0x28, 2, 4, 0x36, 2, 0, end), 300_000},
		"switch": {turn(wt.Repeat(4, 0x02, empty), get(2), wt.I32Const(3), 0x71, 0x0e, 3, 0, 1, 2, 3,
			end, count, 0x0c, 2, end, count, 0x0c, 1, end, count, end), 300_000},
		"call":          {turn(0x10, 1), 300_000},
		"calls":         {calls(5), 300_000},
		"call_indirect": {turn(wt.I32Const(0), 0x11, 1, 0), 300_000},
		"fibonacci": {module(i32, nil, get(0), wt.I32Const(2), 0x49, 0x04, wt.I32, get(0), 0x05,
			get(0), wt.I32Const(1), 0x6b, 0x10, 0, get(0), wt.I32Const(2), 0x6b, 0x10, 0, 0x6a, end), 22},
	}
}

// calls is a module of nothing but calls: f turns and calls the first of some functions, of which each calls the next.
func calls(n int) []byte {
	var b wt.Builder
	nothing := b.Type(nil, nil)
	for i := range n {
		b.Func(nothing, nil, 0x10, i+1)
	}
	b.Func(nothing, nil)
	b.Export("f", wt.FunctionKind, b.Func(b.Type([]byte{wt.I32}, nil), nil, loop(0x10, 0)))
	return b.Bytes()
}

// BenchmarkMetering runs each kernel as it is, metered, and with wazero's own way to stop a module; the metrics are the ratios of the
// shortest times to the first's.
func BenchmarkMetering(b *testing.B) {
	ctx := context.Background()
	plain := wazero.NewRuntime(ctx)
	closing := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCloseOnContextDone(true))
	b.Cleanup(func() { _, _ = plain.Close(ctx), closing.Close(ctx) })
	for name, k := range kernels() {
		b.Run(name, func(b *testing.B) {
			original := instantiate(b, plain, k.module).ExportedFunction("f")
			stopped := instantiate(b, closing, k.module).ExportedFunction("f")
			ours := loadIn(b, plain, k.module, Limits{})
			base, metered, closed := time.Hour, time.Hour, time.Hour
			for b.Loop() {
				base = min(base, timed(b, func() error { _, err := original.Call(ctx, k.turns); return err }))
				metered = min(metered, timed(b, func() error { _, _, err := ours.call("f", 1<<40, k.turns); return err }))
				closed = min(closed, timed(b, func() error { _, err := stopped.Call(ctx, k.turns); return err }))
			}
			b.ReportMetric(float64(metered)/float64(base), "metered/plain")
			b.ReportMetric(float64(closed)/float64(base), "closing/plain")
		})
	}
}

func instantiate(tb testing.TB, r wazero.Runtime, module []byte) api.Module {
	tb.Helper()
	instance, err := r.InstantiateWithConfig(context.Background(), module, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		tb.Fatal(err)
	}
	return instance
}

func timed(tb testing.TB, f func() error) time.Duration {
	begin := time.Now()
	if err := f(); err != nil {
		tb.Fatal(err)
	}
	return time.Since(begin)
}

// BenchmarkFuel runs endless mixes of instructions that take long for what they weigh until 10 million units are burnt; the metric is the
// nanoseconds that a unit stands for.
func BenchmarkFuel(b *testing.B) {
	f64 := func(code ...any) []byte { return wt.Cat(get(3), wt.Repeat(200, code...), set(3)) }
	v128 := func(op int) []byte { return wt.Cat(get(4), wt.Repeat(100, 0xfd, wt.U(op)), set(4)) }
	for name, code := range map[string][]byte{
		"i64.rem":            wt.Repeat(100, get(2), wt.I64Const(3), 0x81, wt.I64Const(1<<62), 0x84, set(2)),
		"f64.div":            f64(get(3), 0xa3),
		"f64.sqrt":           f64(0x9f),
		"trunc_sat":          f64(0xfc, 7, 0xba),
		"f64x2.sqrt":         v128(0xef),
		"f32x4.trunc_sat":    wt.Cat(get(4), wt.Repeat(50, 0xfd, wt.U(0xf9), 0xfd, wt.U(0xfb)), set(4)),
		"memory.fill of 15":  wt.Repeat(100, get(1), get(1), wt.I32Const(15), 0xfc, 11, 0),
		"memory.copy of 15":  wt.Repeat(100, get(1), get(1), wt.I32Const(15), 0xfc, 10, 0, 0),
		"memory.copy of 30k": wt.Repeat(100, get(1), wt.I32Const(30_001), wt.I32Const(30_000), 0xfc, 10, 0, 0),
		"memory.grow":        wt.Repeat(100, get(1), 0x40, 0, drop),
		"table.grow":         wt.Repeat(100, 0xd0, 0x70, get(1), 0xfc, 15, 0, drop),
		"ref.func":           wt.Repeat(100, 0xd2, 0, drop),
		"call":               wt.Repeat(100, 0x10, 1),
		"call_indirect":      wt.Repeat(100, wt.I32Const(0), 0x11, 1, 0),
		"store and load":     wt.Repeat(100, get(1), get(0), 0x3a, 0, 1, get(1), 0x28, 0, 0, 0x22, 0, set(0)),
	} {
		b.Run(name, func(b *testing.B) {
			m := module(nil, []byte{wt.I32, wt.I64, wt.F64, wt.V128}, wt.I64Const(1<<62), set(2), 0x03, empty, code, 0x0c, 0, end)
			burn(b, m, nil)
		})
	}
	for _, pages := range []int{8, 64, 128} {
		b.Run(fmt.Sprintf("loads that miss, %d pages", pages), func(b *testing.B) {
			burn(b, chase(pages), scatter)
		})
	}
}

// burn lets a module that does not end by itself burn its fuel.
func burn(b *testing.B, module []byte, prepare func(api.Memory)) {
	const fuel = 10_000_000
	m := load(b, module, Limits{MemoryPages: 128})
	if prepare != nil {
		prepare(m.instance.Memory())
	}
	n := 0
	for b.Loop() {
		if _, burnt, err := m.call("f", fuel, 0); err == nil || burnt != -1 {
			b.Fatalf("burnt %d, %v", burnt, err)
		}
		n++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n)/fuel, "ns/fuel")
}

// chase loads from where the last load said, all over the memory.
func chase(pages int) []byte {
	var b wt.Builder
	b.Memory(pages, pages)
	f := b.Func(b.Type([]byte{wt.I32}, nil), nil, 0x03, empty, get(0), wt.Repeat(100, 0x28, 2, 0), set(0), 0x0c, 0, end)
	b.Export("f", wt.FunctionKind, f)
	b.Export("memory", wt.MemoryKind, 0)
	return b.Bytes()
}

// scatter makes one cycle through all cache lines of the memory, in no order.
func scatter(memory api.Memory) {
	next := make([]uint32, memory.Size()/64)
	for i := range next {
		next[i] = uint32(i)
	}
	x := uint64(88172645463325252)
	for i := len(next) - 1; i > 0; i-- {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		j := x % uint64(i)
		next[i], next[j] = next[j], next[i]
	}
	for i, n := range next {
		memory.WriteUint32Le(uint32(i)*64, n*64)
	}
}

// BenchmarkCheck decodes and instruments a module of 1 MB of ordinary functions.
func BenchmarkCheck(b *testing.B) {
	var w wt.Builder
	typ := w.Type([]byte{wt.I32}, nil)
	for range 4_000 {
		w.Func(typ, []byte{wt.I32}, wt.Repeat(20, 0x02, empty, get(0), 0x0d, 0, get(0), wt.I32Const(1), 0x6a, set(1), end))
	}
	m := w.Bytes()
	b.SetBytes(int64(len(m)))
	b.ReportAllocs()
	for b.Loop() {
		checked, err := Check(m, Limits{CompileCost: 1 << 30})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := checked.Instrument(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoad compiles the shapes that take a compiler longest among those that the limits admit, and reports how long one takes.
func BenchmarkLoad(b *testing.B) {
	global := []byte{0x23, 0}
	shapes := map[string]func(n int) []byte{
		"branches, 1 kB each":  func(n int) []byte { return many(n/1_000, wt.Repeat(250, global, 0x0d, 0)) },
		"branches, 10 kB each": func(n int) []byte { return many(n/5_000, wt.Repeat(1_250, global, 0x0d, 0)) },
		"ifs":                  func(n int) []byte { return many(n/1_000, wt.Repeat(200, global, 0x04, empty, end)) },
		"memory.fill":          func(n int) []byte { return many(n/400, wt.Repeat(44, global, global, global, 0xfc, 11, 0)) },
		"tiny functions":       func(n int) []byte { return many(n / 4) },
		"loads":                func(n int) []byte { return many(n/200_000, wt.Repeat(40_000, global, 0x28, 0, 0, drop)) },
		"values that stay long": func(n int) []byte {
			return many(n/5_000, wt.Repeat(500, global), wt.Repeat(500, global, 0x0d, 0), wt.Repeat(500, drop))
		},
	}
	for name, shape := range shapes {
		b.Run(name, func(b *testing.B) {
			m := largest(shape)
			ctx := context.Background()
			for b.Loop() {
				r := wazero.NewRuntime(ctx)
				loadIn(b, r, m, Limits{})
				_ = r.Close(ctx)
			}
			b.ReportMetric(float64(len(m)), "bytes")
		})
	}
}

// many is a module of n functions with the same code.
func many(n int, code ...any) []byte {
	var b wt.Builder
	b.Memory(1, 1)
	b.Global(wt.I32, true, wt.I32Const(0))
	typ := b.Type(nil, nil)
	body := wt.Cat(0, wt.Cat(code...), end)
	for range n {
		b.Body(typ, body)
	}
	return b.Bytes()
}

// largest is the largest module of a shape, of 1 MiB or less, that the limits admit.
func largest(shape func(n int) []byte) []byte {
	low, high := 0, 1<<20
	for high-low > high/50 {
		n := (low + high) / 2
		if m := shape(n); len(m) > 1<<20 || !admitted(m) {
			high = n
		} else {
			low = n
		}
	}
	return shape(low)
}

func admitted(module []byte) bool {
	_, err := Check(module, Limits{})
	return err == nil
}
