package wasm

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nri-guard/nri-guard/engine/policy/wasm/internal/meter"
)

// The modules that hold what may be imported.
const (
	moduleEnv  = "env"
	moduleWASI = "wasi_snapshot_preview1"
)

// hostFunction is something that modules may import.
type hostFunction struct {
	signature
	call func(*instance, args)
}

// hostFunctions is all that modules may import, by module and name.
type hostFunctions map[string]map[string]hostFunction

// allowed returns the list of what may be imported: nothing of it reaches anything
// but the instance itself.
func allowed() hostFunctions {
	return hostFunctions{
		moduleEnv:  {"log": {signature{"i32 i32", "i64"}, (*instance).envLog}},
		moduleWASI: wasiFunctions(),
	}
}

// check refuses a module that imports anything else.
func (h hostFunctions) check(m *meter.Module) error {
	for _, i := range m.Imports {
		f, ok := h[i.Module][i.Name]
		switch {
		case !ok:
			return fmt.Errorf("imports %s %.100q of %.100q, which is not among what a policy may import: %s", i.Kind, i.Name, i.Module, h)
		case i.Kind != meter.Function:
			return fmt.Errorf("imports %.100q of %.100q as a %s, and it is a function", i.Name, i.Module, i.Kind)
		case signatureOf(i.Params, i.Results) != f.signature:
			return fmt.Errorf("imports %.100q of %.100q as %v, and it is %v", i.Name, i.Module, signatureOf(i.Params, i.Results), f.signature)
		}
	}
	return nil
}

// String lists the functions, sorted.
func (h hostFunctions) String() string {
	var list []string
	for _, module := range slices.Sorted(maps.Keys(h)) {
		list = append(list, module+"."+strings.Join(slices.Sorted(maps.Keys(h[module])), " "+module+"."))
	}
	return strings.ReplaceAll(strings.Join(list, " "), " ", ", ")
}
