package wasm

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nri-guard/nri-guard/engine/policy/wasm/internal/meter"
)

// abi is the convention by which a module is asked.
type abi int

const (
	abiNRI     abi = iota // NRI's WebAssembly plugins
	abiCommand            // a WASI command
)

// The conventions' names, as [Policy.ABI] has them.
const (
	NRI  = "nri"  // NRI's WebAssembly plugins: a module objects to a request as a whole
	WASI = "wasi" // a WASI command, which may name the changes that it objects to
)

// String gives the name used in descriptions.
func (a abi) String() string { return [...]string{NRI, WASI}[a] }

// What modules export.
const (
	exportMalloc     = "malloc"
	exportFree       = "free"
	exportValidate   = "plugin_validate_container_adjustment"
	exportConfigure  = "plugin_configure"
	exportInitialize = "_initialize"
	exportStart      = "_start"
)

// signatures of the exports that are called.
var signatures = map[string]signature{
	exportMalloc:     {"i32", "i32"},
	exportFree:       {"i32", ""},
	exportValidate:   {"i32 i32", "i64"},
	exportConfigure:  {"i32 i32", "i64"},
	exportInitialize: {"", ""},
	exportStart:      {"", ""},
}

// signature is what a function takes and gives, as types separated by spaces.
type signature struct{ params, results string }

func signatureOf(params, results []byte) signature {
	return signature{typeNames(params), typeNames(results)}
}

func typeNames(types []byte) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = map[byte]string{0x7f: "i32", 0x7e: "i64", 0x7d: "f32", 0x7c: "f64", 0x7b: "v128", 0x70: "funcref", 0x6f: "externref"}[t]
	}
	return strings.Join(names, " ")
}

func (s signature) String() string {
	return fmt.Sprintf("(%s) -> (%s)", strings.ReplaceAll(s.params, " ", ", "), strings.ReplaceAll(s.results, " ", ", "))
}

// abiOf tells by which convention a module is asked, and holds what it exports to
// it. A module that has NRI's exports is asked in NRI's way even if it could be run
// as a command.
func abiOf(m *meter.Module, c *Config) (abi, error) {
	functions := map[string]signature{}
	others := map[string]meter.Kind{}
	for _, e := range m.Exports {
		if e.Kind == meter.Function {
			functions[e.Name] = signatureOf(e.Params, e.Results)
		} else {
			others[e.Name] = e.Kind
		}
	}
	kind, asked := abiNRI, []string{exportMalloc, exportFree, exportValidate, exportConfigure, exportInitialize}
	_, validates := functions[exportValidate]
	_, starts := functions[exportStart]
	switch {
	case validates:
		if err := missing(functions, exportMalloc, exportFree); err != nil {
			return 0, err
		}
	case starts:
		kind, asked = abiCommand, []string{exportStart}
	default:
		return 0, fmt.Errorf("exports neither %s %v, as a validator for NRI does, nor %s %v, as a WASI command does%s",
			exportValidate, signatures[exportValidate], exportStart, signatures[exportStart], instead(others))
	}
	for _, name := range asked {
		if s, ok := functions[name]; ok && s != signatures[name] {
			return 0, fmt.Errorf("exports %s as %v, and it must be %v", name, s, signatures[name])
		}
	}
	if len(m.Memories) == 0 {
		return 0, errors.New("has no memory, in which it could be told what to judge")
	}
	if _, ok := functions[exportConfigure]; c.Configuration != "" && (!ok || kind != abiNRI) {
		return 0, fmt.Errorf("has a config, but exports no %s to be told of it", exportConfigure)
	}
	return kind, nil
}

func missing(functions map[string]signature, names ...string) error {
	for _, name := range names {
		if _, ok := functions[name]; !ok {
			return fmt.Errorf("exports %s, but not %s %v, which is needed to hand it a request", exportValidate, name, signatures[name])
		}
	}
	return nil
}

// instead says so where a name that is looked for is not that of a function.
func instead(others map[string]meter.Kind) string {
	for _, name := range []string{exportValidate, exportStart} {
		if kind, ok := others[name]; ok {
			return fmt.Sprintf("; its %s is a %v", name, kind)
		}
	}
	return ""
}
