package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/request"
	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/audit"
	"github.com/nri-guard/nri-guard/engine/policy"
	"github.com/nri-guard/nri-guard/engine/policy/wasm"
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

// A module whose file has any name can be asked.
func TestModuleName(t *testing.T) {
	for file, want := range map[string]string{
		"/a/10-no-agents.wasm": "no_agents", "No.Agents.wasm": "no_agents", "agents": "agents", "a b.wasm": "a_b", "über.wasm": "ber",
		"123.wasm": "module_123", ".wasm": "module", "lib.wasm": "module_lib", "config.wasm": "module_config", "ü.wasm": "module",
	} {
		if got := moduleName(file); got != want {
			t.Errorf("%s is named %s, want %s", file, got, want)
		}
	}
}

// What each module burns for a decision is in the decision log: also of one that runs
// out of fuel, which fails.
func TestFuelInDecisionLog(t *testing.T) {
	module := "../../wasm-examples/c/mounts_and_secrets.wasm"
	set, err := policy.Load(t.Context(), policy.Config{Policy: policy.Policies{Wasm: []wasm.Config{
		{Name: "little", Path: module, Fuel: 1000}, {Name: "much", Path: module}}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "decisions.ndjson")
	log, err := audit.New(audit.Config{Path: file})
	if err != nil {
		t.Fatal(err)
	}
	rules := set.Rules()
	rules.Recorder = log
	b := border{seen: map[string]seen{}}
	var costs []engine.Cost
	for r, err := range request.Read("reference.json", bytes.NewReader(reference)) {
		if err != nil {
			t.Fatal(err)
		}
		costs = engine.New(rules).Decide(t.Context(), b.review(r)).Costs
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if len(costs) != 2 || costs[0] != (engine.Cost{Policy: "little", Fuel: 1000}) || costs[1].Policy != "much" || costs[1].Fuel <= 1000 {
		t.Errorf("the decision cost %+v", costs)
	}
	line, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var record struct {
		Result struct{ Costs []engine.Cost }
	}
	if err := json.Unmarshal(line, &record); err != nil || !reflect.DeepEqual(record.Result.Costs, costs) {
		t.Errorf("%v; %s\nhas not the costs %+v", err, line, costs)
	}
}
