package wasm

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/containerd/log"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"golang.org/x/sys/cpu"
)

// sandbox is wazero's runtime, one for all modules of a program.
//
// Nothing closes it: machine code may be running. When nobody refers to a program
// any more the garbage collector frees everything, machine code included.
type sandbox struct {
	runtime     wazero.Runtime
	interpreted bool
	cache       string
	compilers   int
}

// cacheHint says what else could be wrong where compiling fails.
func (b *sandbox) cacheHint() string {
	if b.cache == "" {
		return ""
	}
	return "; where that is about the cache of machine code, " + b.cache + ", empty it or make room for it"
}

// features are exactly those of WebAssembly 2.0.
const features = api.CoreFeaturesV2

// newSandbox returns a runtime that compiles to machine code. Where that cannot be
// done it is an error, or an interpreter if that is accepted.
func newSandbox(ctx context.Context, o Options) (*sandbox, error) {
	b := &sandbox{compilers: o.Compilers}
	config := wazero.NewRuntimeConfigCompiler()
	if why := tryCompiler(bare{ctx}); why != nil {
		if !o.Interpreter {
			return nil, fmt.Errorf("modules cannot be compiled to machine code here (%w); "+
				"with systemd's MemoryDenyWriteExecute, or a security module that forbids the same, they never can; "+
				"allow it, or set policy.sandbox.interpreter to accept that modules are interpreted, which is about 80 times slower", why)
		}
		log.G(ctx).Warnf("WebAssembly modules are interpreted, about 80 times slower, since they cannot be compiled to machine code here: %v", why)
		// An interpreter can look at the time, at least where a module loops.
		config = wazero.NewRuntimeConfigInterpreter().WithCloseOnContextDone(true)
		b.interpreted = true
	} else if o.Cache != "" {
		cache, err := openCache(ctx, o.Cache)
		if err != nil {
			return nil, err
		}
		config = config.WithCompilationCache(cache)
		b.cache = o.Cache
	}
	ctx = bare{ctx}
	b.runtime = wazero.NewRuntimeWithConfig(ctx, config.WithCoreFeatures(features).WithDebugInfoEnabled(false))
	return b, allowed().link(ctx, b.runtime)
}

// openCache returns the cache in a directory, with nothing in it that is not to be
// trusted.
func openCache(ctx context.Context, dir string) (wazero.CompilationCache, error) {
	if err := checkCache(dir); err != nil {
		return nil, err
	}
	if err := removeDamaged(ctx, dir); err != nil {
		return nil, err
	}
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cache of machine code: %w", err)
	}
	return cache, nil
}

// compiled is to be called when the modules have been.
func (b *sandbox) compiled() error {
	if b.cache == "" {
		return nil
	}
	return seal(b.cache)
}

// tryCompiler says why machine code cannot be made. wazero itself would fall back to
// its interpreter without a word, or panic.
func tryCompiler(ctx context.Context) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%v", cause)
		}
	}()
	if runtime.GOARCH == "amd64" && !cpu.X86.HasSSE41 {
		return errors.New("the processor has no SSE 4.1")
	}
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
	defer r.Close(ctx) //nolint:errcheck // nothing of it can fail
	// A module with one function, of no instructions.
	_, err = r.CompileModule(ctx, []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x04\x01\x02\x00\x0b"))
	return err
}
