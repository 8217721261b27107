package wasm

import (
	"context"
	"encoding/binary"
	"math"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Fuel of a call into the host, besides a unit for each byte that it touches. A unit
// stands for about three nanoseconds at most.
const hostCallFuel = 100

// args are the arguments of a call into the host, and take its result. A type of
// its own, for what is more than reading an element.
type args []uint64

func (a args) u32(i int) uint32 { return api.DecodeU32(a[i]) }

// callContext is the context of calls into an instance, which the host finds in it
// without allocating anything. It has no other values: wazero finds experimental
// settings in those.
type callContext struct {
	context.Context
	in *instance
}

type instanceKey struct{}

// Value implements [context.Context].
func (c *callContext) Value(key any) any {
	if _, ok := key.(instanceKey); ok {
		return c.in
	}
	return nil
}

// link makes the functions known to the runtime.
func (h hostFunctions) link(ctx context.Context, r wazero.Runtime) error {
	for module, functions := range h {
		b := r.NewHostModuleBuilder(module)
		for name, f := range functions {
			b.NewFunctionBuilder().WithGoFunction(api.GoFunc(func(ctx context.Context, stack []uint64) {
				in := ctx.Value(instanceKey{}).(*instance)
				in.charge(hostCallFuel)
				f.call(in, stack)
			}), valueTypes(f.params), valueTypes(f.results)).Export(name)
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return err
		}
	}
	return nil
}

func valueTypes(names string) []api.ValueType {
	var types []api.ValueType
	for len(names) >= 3 {
		t := api.ValueTypeI32
		if names[:3] == "i64" {
			t = api.ValueTypeI64
		}
		types = append(types, t)
		names = names[min(4, len(names)):]
	}
	return types
}

// charge burns fuel for the host's work. Where there is not enough the call into
// the module ends.
func (in *instance) charge(n uint64) {
	left := int64(in.fuel.Get())
	if n > math.MaxInt32 { // more than there ever is
		n = math.MaxInt32
	}
	left -= int64(n)
	in.fuel.Set(uint64(left))
	if left < 0 {
		panic(errNoFuel)
	}
}

// view returns part of the module's memory, nil where it does not lie in it. It is
// valid until the module runs again.
func (in *instance) view(ptr, size uint32) ([]byte, bool) { return in.memory.Read(ptr, size) }

// touch is view for what is going to be read or written as a whole: it is paid for.
func (in *instance) touch(ptr, size uint32) ([]byte, bool) {
	b, ok := in.view(ptr, size)
	if ok {
		in.charge(uint64(size))
	}
	return b, ok
}

// put32 and put64 write a result to memory.
func (in *instance) put32(ptr uint32, v uint32) bool {
	b, ok := in.view(ptr, 4)
	if ok {
		binary.LittleEndian.PutUint32(b, v)
	}
	return ok
}

func (in *instance) put64(ptr uint32, v uint64) bool {
	b, ok := in.view(ptr, 8)
	if ok {
		binary.LittleEndian.PutUint64(b, v)
	}
	return ok
}
