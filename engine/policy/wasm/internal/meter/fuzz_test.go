package meter

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	wt "github.com/nri-guard/nri-guard/engine/policy/wasm/internal/wasmtest"
)

// FuzzModule holds for any bytes: they are refused, or, where they are a valid module, what comes out is valid too, and each of its functions
// stops with the fuel that it is given. What it burnt until it trapped is what it needs to get there, and no less.
func FuzzModule(f *testing.F) {
	seed(f)
	limits := Limits{ModuleBytes: 16 << 10, MemoryPages: 8, TableEntries: 1_000, FunctionCost: 20_000, CompileCost: 50_000, StackBytes: 1 << 20}
	f.Fuzz(func(t *testing.T, module []byte) {
		m, err := Check(module, limits)
		if err != nil {
			if _, again := Check(module, limits); again == nil || again.Error() != err.Error() {
				t.Fatalf("%v the first time, %v the second", err, again)
			}
			return
		}
		ctx := context.Background()
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(api.CoreFeaturesV2))
		defer func() { _ = r.Close(ctx) }()
		if _, err := r.CompileModule(ctx, m.Stripped()); err != nil {
			return
		}
		out, err := m.Instrument()
		if err != nil {
			t.Fatalf("Instrument: %v", err)
		}
		compiled, err := r.CompileModule(ctx, out)
		if err != nil {
			t.Fatalf("the instrumented module: %v", err)
		}
		run(t, func() *metered {
			instance, err := r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
			if err != nil {
				return nil // needs imports, or its segments do not fit
			}
			return meteredInstance(m, instance)
		})
	})
}

// run calls all exported functions that take no vectors, one after the other, until one traps.
func run(t *testing.T, fresh func() *metered) {
	const fuel = 100_000
	g := fresh()
	if g == nil {
		return
	}
	functions := g.instance.ExportedFunctionDefinitions()
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(functions)), func(name string) bool {
		d := functions[name]
		return strings.ContainsRune(string(d.ParamTypes())+string(d.ResultTypes()), wt.V128)
	})
	for i, name := range names {
		burnt, err := g.callWithZeroes(name, fuel)
		if err == nil && (burnt <= 0 || burnt > fuel) {
			t.Fatalf("%s burnt %d of %d", name, burnt, fuel)
		}
		if err == nil {
			continue
		}
		if burnt != -1 && !g.tooDeep() {
			exactly(t, fresh, names[:i+1], burnt, err)
		}
		return
	}
}

// exactly calls functions anew, of which the last has burnt so much until it trapped: with as much again, and with one less.
func exactly(t *testing.T, fresh func() *metered, names []string, burnt int64, err error) {
	last := names[len(names)-1]
	for _, less := range []int64{0, 1} {
		g := fresh()
		for _, name := range names[:len(names)-1] {
			_, _ = g.callWithZeroes(name, 1<<40)
		}
		again, other := g.callWithZeroes(last, burnt-less)
		if other == nil || less == 0 && (again != burnt || other.Error() != err.Error()) || less == 1 && again != -1 {
			t.Fatalf("%s burnt %d (%v), and of %d it burns %d (%v)", last, burnt, err, burnt-less, again, other)
		}
	}
}

func (m *metered) callWithZeroes(name string, fuel int64) (int64, error) {
	d := m.instance.ExportedFunctionDefinitions()[name]
	_, burnt, err := m.call(name, fuel, make([]uint64, len(d.ParamTypes()))...)
	return burnt, err
}

// seed adds small modules of the specification and some made here.
func seed(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join(specDir(f), "v2", "testdata", "*.wasm"))
	if err != nil {
		f.Fatal(err)
	}
	for i, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			f.Fatal(err)
		}
		if info.Size() > 4_000 || i%10 != 0 {
			continue
		}
		module, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(module)
	}
	f.Add([]byte("\x00asm\x0d\x00\x01\x00"))
	f.Add(module(nil, nil, loop(0x10, 1)))
	f.Add(module(nil, []byte{wt.I64, wt.V128}, 0x03, empty, 0x10, 0, 0x0c, 0, end))
	f.Add(module(nil, nil, wt.Cat(get(0), get(0), wt.I32Const(-1), 0xfc, 11, 0)))
	f.Add(module(nil, nil, wt.Cat(0x02, empty, get(0), 0x0e, 1, 0, 1, end, get(0), 0x40, 0, drop)))
	f.Add(manyParameters(3))
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x00\x0e\x04name\x02\x01\xe8\xe8\xe8\xe8\x00\x01a"))
	for _, c := range trapping {
		f.Add(module(nil, nil, c.code))
	}
}
