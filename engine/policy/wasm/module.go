package wasm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/nri-guard/nri-guard/engine/policy/internal/panics"
	"github.com/nri-guard/nri-guard/engine/policy/wasm/internal/meter"
)

// module is a policy that is compiled.
type module struct {
	config   Config // filled
	digest   [sha256.Size]byte
	abi      abi
	box      *sandbox
	metered  *meter.Module
	compiled wazero.CompiledModule
	pool     *pool
}

// newModule reads, checks and compiles a module and sets up its first instance.
func newModule(ctx context.Context, box *sandbox, c Config) (m *module, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			m, err = nil, c.about(panics.Error(cause))
		}
	}()
	bytes, err := read(&c)
	if err != nil {
		return nil, err
	}
	m = &module{config: c, digest: sha256.Sum256(bytes), box: box}
	if err := m.check(ctx, bytes); err != nil {
		return nil, c.about(err)
	}
	if err := m.compile(ctx); err != nil {
		return nil, c.about(err)
	}
	m.pool = newPool(c.Instances, m.instantiate)
	if err := m.pool.warm(); err != nil {
		return nil, c.about(err)
	}
	return m, nil
}

// about says which file an error is about.
func (c *Config) about(err error) error { return fmt.Errorf("%s: %w", c.Path, err) }

// check decodes the module, holds it to the bounds and to a convention, and
// validates it. What is slow comes last.
func (m *module) check(ctx context.Context, bytes []byte) error {
	var err error
	if m.metered, err = meter.Check(bytes, m.config.meter()); err != nil {
		return inConfiguration(err)
	}
	if err := allowed().check(m.metered); err != nil {
		return err
	}
	if m.metered.Unfit != nil {
		return m.metered.Unfit
	}
	if m.abi, err = abiOf(m.metered, &m.config); err != nil {
		return err
	}
	if err := validate(ctx, m.metered.Stripped()); err != nil {
		return fmt.Errorf("is not valid: %s", firstLine(err))
	}
	return context.Cause(ctx)
}

// inConfiguration names a limit by its key in the configuration.
func inConfiguration(err error) error {
	var over *meter.LimitError
	if errors.As(err, &over) && over.Limit != "memoryPages" {
		over.Limit = "limits." + over.Limit
	}
	return err
}

func (m *module) compile(ctx context.Context) error {
	metered, err := m.metered.Instrument()
	if err != nil {
		return err
	}
	m.compiled, err = m.box.runtime.CompileModule(experimental.WithCompilationWorkers(ctx, m.box.compilers), metered)
	if err != nil {
		return fmt.Errorf("cannot be compiled: %s%s", firstLine(err), m.box.cacheHint())
	}
	return context.Cause(ctx)
}
