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
// stops with the fuel that it is given.
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
		if _, err := r.CompileModule(ctx, module); err != nil {
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
		instance, err := r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithStartFunctions())
		if err != nil {
			return // needs imports, or its segments do not fit
		}
		run(t, m, instance)
	})
}

// run calls all exported functions that take no vectors, one after the other, until one traps.
func run(t *testing.T, m *Module, instance api.Module) {
	const fuel = 100_000
	g := &metered{
		Module: m, instance: instance,
		fuel:  instance.ExportedGlobal(m.FuelGlobal).(api.MutableGlobal),
		depth: instance.ExportedGlobal(m.DepthGlobal).(api.MutableGlobal),
	}
	functions := instance.ExportedFunctionDefinitions()
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		d := functions[name]
		if strings.ContainsRune(string(d.ParamTypes())+string(d.ResultTypes()), wt.V128) {
			continue
		}
		args := make([]uint64, len(d.ParamTypes()))
		_, burnt, err := g.call(name, fuel, args...)
		if err == nil && (burnt <= 0 || burnt > fuel) {
			t.Fatalf("%s burnt %d of %d", name, burnt, fuel)
		}
		if err != nil {
			return
		}
	}
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
}
