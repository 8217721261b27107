package wasm

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// validate says what is wrong with a module as it is: instrumenting can make a valid
// one of an invalid one. Nothing is compiled: what wazero asks of a valid module is
// who listens to its functions, and that ends it.
func validate(ctx context.Context, module []byte) (err error) {
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features).WithDebugInfoEnabled(false))
	defer r.Close(ctx) //nolint:errcheck // nothing of it can fail
	defer func() {
		if cause := recover(); cause != nil && cause != (valid{}) {
			panic(cause)
		}
	}()
	_, err = r.CompileModule(experimental.WithFunctionListenerFactory(ctx, valid{}), module)
	return err
}

// valid is what ends the compilation of a module that is valid and has functions.
type valid struct{}

func (valid) NewFunctionListener(api.FunctionDefinition) experimental.FunctionListener {
	panic(valid{})
}
