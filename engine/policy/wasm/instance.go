package wasm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/nri-guard/nri-guard/engine/policy/internal/panics"
)

// instance is one instance of a module. It serves one decision at a time.
type instance struct {
	ctx         *callContext // of its calls
	module      *module
	wasm        api.Module
	memory      api.Memory
	fuel, depth api.MutableGlobal
	// Functions of NRI's convention, and of a command.
	malloc, free, validate, start api.Function
	stack                         [2]uint64 // arguments and result of a call

	budget int64  // fuel at the beginning
	calls  int    // decisions served
	pages  uint32 // of memory, when it was set up

	// What WASI calls see and leave behind.
	clock  uint64
	random rand.PCG
	input  []byte
	output []byte
	// printed is what goes to the log.
	printed printed
}

// instantiate makes an instance and sets it up. No code of the module runs before
// there is fuel to be burnt.
func (m *module) instantiate() (in *instance, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			in, err = nil, panics.Error(cause)
		}
	}()
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	x, err := m.box.runtime.InstantiateModule(context.Background(), m.compiled, config)
	if err != nil {
		return nil, fmt.Errorf("it cannot be instantiated: %s", firstLine(err))
	}
	in = &instance{module: m, wasm: x, memory: x.Memory(), printed: printed{most: m.config.LogLines}}
	in.ctx = &callContext{context.Background(), in}
	in.fuel, _ = x.ExportedGlobal(m.metered.FuelGlobal).(api.MutableGlobal)
	in.depth, _ = x.ExportedGlobal(m.metered.DepthGlobal).(api.MutableGlobal)
	if in.fuel == nil || in.depth == nil || in.memory == nil {
		return nil, errors.New("it cannot be metered")
	}
	in.malloc, in.free = x.ExportedFunction(exportMalloc), x.ExportedFunction(exportFree)
	in.validate, in.start = x.ExportedFunction(exportValidate), x.ExportedFunction(exportStart)
	if err := in.setUp(); err != nil {
		in.close()
		return nil, fmt.Errorf("it cannot be set up: %w", err)
	}
	in.pages = in.memory.Size() / pageSize
	return in, nil
}

const pageSize = 64 << 10

// setUp runs what the module wants to have run once.
func (in *instance) setUp() error {
	in.begin(context.Background(), in.module.config.StartFuel)
	defer in.end()
	defer in.printed.emit(context.Background(), in.module.config.Name, nil)
	if name := in.module.metered.StartExport; name != "" {
		if _, err := in.call(in.wasm.ExportedFunction(name)); err != nil {
			return fmt.Errorf("its start function: %w", in.named(err, "startFuel"))
		}
	}
	if in.module.abi != abiNRI {
		return nil
	}
	if f := in.wasm.ExportedFunction(exportInitialize); f != nil {
		if _, err := in.call(f); err != nil {
			return fmt.Errorf("%s: %w", exportInitialize, in.named(err, "startFuel"))
		}
	}
	if f := in.wasm.ExportedFunction(exportConfigure); f != nil {
		if err := in.configure(f); err != nil {
			return fmt.Errorf("%s: %w", exportConfigure, in.named(err, "startFuel"))
		}
	}
	return nil
}

// begin hands out fuel, and the same randomness to everybody.
func (in *instance) begin(ctx context.Context, fuel uint64) {
	if in.module.box.interpreted { // machine code looks at nothing
		in.ctx = &callContext{ctx, in}
	}
	in.budget = int64(fuel)
	in.fuel.Set(fuel)
	in.random.Seed(1, 2)
	in.printed.reset()
	in.output = in.output[:0]
}

// end drops what belongs to the decision.
func (in *instance) end() { in.input = nil }

// burnt is the fuel used since begin.
func (in *instance) burnt() uint64 {
	return uint64(in.budget - max(int64(in.fuel.Get()), 0))
}

// call calls a function of the module. The error says in the guard's words why the
// call did not return.
func (in *instance) call(f api.Function, args ...uint64) (uint64, error) {
	copy(in.stack[:], args)
	in.depth.Set(0)
	err := f.CallWithStack(in.ctx, in.stack[:])
	if err == nil && int64(in.fuel.Get()) >= 0 {
		return in.stack[0], nil
	}
	return 0, in.trapped(err)
}

// close frees what the runtime keeps of the instance.
func (in *instance) close() { _ = in.wasm.Close(context.Background()) } // nothing of it can fail

// worn says whether the instance has served long enough: memory only ever grows, and
// some modules never give back what they took. With the interpreter once is enough:
// what watches the deadline of a call may end after it, and close the instance then.
func (in *instance) worn() bool {
	c := &in.module.config
	grown := in.memory.Size()/pageSize - in.pages
	return in.module.abi == abiCommand || in.module.box.interpreted || in.calls >= c.Calls || grown > 0 && grown > (c.MemoryPages-in.pages)/2
}
