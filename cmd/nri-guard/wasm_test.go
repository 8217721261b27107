package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestWasmScript runs testdata/wasm/*.txtar. EXAMPLES is where the modules of
// wasm-examples are.
func TestWasmScript(t *testing.T) {
	examples, err := filepath.Abs("../../wasm-examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/wasm",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("EXAMPLES", examples)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "record": record},
	})
}
