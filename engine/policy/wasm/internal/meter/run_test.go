package meter

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// metered is an instance of an instrumented module.
type metered struct {
	*Module
	instance    api.Module
	fuel, depth api.MutableGlobal
}

// load checks, validates, instruments and instantiates a module.
func load(t testing.TB, module []byte, l Limits) *metered {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(api.CoreFeaturesV2))
	t.Cleanup(func() { _ = r.Close(ctx) })
	return loadIn(t, r, module, l)
}

func loadIn(t testing.TB, r wazero.Runtime, module []byte, l Limits) *metered {
	t.Helper()
	ctx := context.Background()
	m, err := Check(module, l)
	if err != nil {
		t.Fatalf("Check: %v", err)
	}
	if _, err := r.CompileModule(ctx, module); err != nil {
		t.Fatalf("the original is not valid: %v", err)
	}
	out, err := m.Instrument()
	if err != nil {
		t.Fatalf("Instrument: %v", err)
	}
	instance, err := r.InstantiateWithConfig(ctx, out, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		t.Fatalf("the instrumented module: %v", err)
	}
	return meteredInstance(m, instance)
}

func meteredInstance(m *Module, instance api.Module) *metered {
	return &metered{
		Module: m, instance: instance,
		fuel:  instance.ExportedGlobal(m.FuelGlobal).(api.MutableGlobal),
		depth: instance.ExportedGlobal(m.DepthGlobal).(api.MutableGlobal),
	}
}

// call calls an export with fuel and tells what was burnt; after a trap that is -1 where the fuel ran out.
func (m *metered) call(name string, fuel int64, args ...uint64) (results []uint64, burnt int64, err error) {
	m.fuel.Set(uint64(fuel))
	m.depth.Set(0)
	results, err = m.instance.ExportedFunction(name).Call(context.Background(), args...)
	if left := int64(m.fuel.Get()); left >= 0 {
		return results, fuel - left, err
	}
	return results, -1, err
}

func (m *metered) tooDeep() bool { return uint32(m.depth.Get()) > m.StackBytes }
