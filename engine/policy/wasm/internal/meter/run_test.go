package meter

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	wt "github.com/nri-guard/nri-guard/engine/policy/wasm/internal/wasmtest"
)

// metered is an instance of an instrumented module.
type metered struct {
	*Module
	instance api.Module
}

// load checks, validates, instruments and instantiates a module.
func load(t testing.TB, module []byte, l Limits) *metered {
	t.Helper()
	ctx := context.Background()
	m, err := Check(module, l)
	if err != nil {
		t.Fatalf("Check: %v", err)
	}
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(api.CoreFeaturesV2))
	t.Cleanup(func() { _ = r.Close(ctx) })
	if _, err := r.CompileModule(ctx, module); err != nil {
		t.Fatalf("the original is not valid: %v", err)
	}
	out, err := m.Instrument()
	if err != nil {
		t.Fatalf("Instrument: %v", err)
	}
	instance, err := r.InstantiateWithConfig(ctx, out, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		t.Fatalf("the instrumented module: %v", err)
	}
	return &metered{m, instance}
}

// call calls an export with fuel, and tells what was burnt and how deep it was.
func (m *metered) call(name string, fuel int64, args ...uint64) (results []uint64, burnt int64, depth uint32, err error) {
	f := m.instance.ExportedGlobal(m.FuelGlobal).(api.MutableGlobal)
	d := m.instance.ExportedGlobal(m.DepthGlobal).(api.MutableGlobal)
	f.Set(uint64(fuel))
	d.Set(0)
	results, err = m.instance.ExportedFunction(name).Call(context.Background(), args...)
	return results, fuel - int64(f.Get()), uint32(d.Get()), err
}

func TestSmoke(t *testing.T) {
	var b wt.Builder
	ty := b.Type([]byte{wt.I32}, []byte{wt.I32})
	f := b.Func(ty, nil, 0x03, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b, 0x20, 0)
	b.Export("f", wt.FunctionKind, f)
	g := b.Func(ty, nil, 0x20, 0, 0x10, 1)
	b.Export("g", wt.FunctionKind, g)
	m := load(t, b.Bytes(), Limits{})
	t.Log(m.call("f", 1000, 10))
	t.Log(m.call("f", 10, 10))
	t.Log(m.call("g", 10000000, 10))
}
