package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nri-guard/nri-guard/engine/policy/wasm"
)

// wasmFlag names WebAssembly modules besides the configuration's.
type wasmFlag struct {
	files []string
	fuel  uint64
}

func addWasm(cmd *cobra.Command) *wasmFlag {
	f := &wasmFlag{}
	cmd.Flags().StringArrayVar(&f.files, "wasm", nil, "WebAssembly module that is a policy, FILE or NAME=FILE; may be repeated")
	_ = cmd.MarkFlagFilename("wasm", "wasm") // fails only without such a flag
	cmd.Flags().Uint64Var(&f.fuel, "fuel", 0, fmt.Sprintf("fuel that a module of --wasm may burn for a request, at most %d (default %d)", wasm.MaxFuel, wasm.DefaultFuel))
	return f
}

// compilers is how many functions of a module are compiled at a time by a subcommand
// that ends. A daemon compiles one by one: see [wasm.Options].
const compilers = 2

// addTo adds the modules to a configuration's.
func (f *wasmFlag) addTo(c *config) error {
	modules, err := f.modules()
	c.Policy.Wasm = append(c.Policy.Wasm, modules...)
	c.Policy.Sandbox.Compilers = compilers
	return err
}

// modules are the modules with their defaults.
func (f *wasmFlag) modules() ([]wasm.Config, error) {
	if f.fuel > 0 && len(f.files) == 0 {
		return nil, usageError{errors.New("--fuel is for modules that --wasm names; others have theirs in the configuration")}
	}
	var list []wasm.Config
	for _, file := range f.files {
		name, path, ok := strings.Cut(file, "=")
		if !ok || strings.Contains(name, "/") {
			name, path = moduleName(file), file
		}
		list = append(list, wasm.Config{Name: name, Path: path, Fuel: f.fuel, Where: "--wasm"})
	}
	return list, nil
}

// moduleName makes the name of a policy of that of a file: no_agents of
// 10-no-agents.wasm, module_123 of 123.wasm.
func moduleName(file string) string {
	name := strings.ToLower(strings.TrimSuffix(filepath.Base(file), ".wasm"))
	name = notOfNames.ReplaceAllString(name, "_")
	if own := strings.TrimLeft(name, "0123456789_"); own != "" && own != "lib" && own != "config" {
		return own
	}
	return strings.TrimRight("module_"+name, "_")
}

var notOfNames = regexp.MustCompile(`[^a-z0-9_]`)
