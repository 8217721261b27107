package wasm_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/document"
	"github.com/nri-guard/nri-guard/engine/policy"
	"github.com/nri-guard/nri-guard/engine/policy/wasm"
	"github.com/nri-guard/nri-guard/engine/policy/wasm/internal/wasmtest"
)

// directory has a module that rejects, a command that objects to a variable, one that
// runs out of fuel, and a file that is no module.
func directory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	looping := newGuest()
	looping.validate = wasmtest.Cat(forever(), wasmtest.I64Const(0))
	for name, module := range map[string][]byte{
		"rejects.wasm": newGuest().answer([]byte("\x08\x01\x12\x02no")).module(),
		"objects.wasm": objecting(t),
		"allows.wasm":  newGuest().module(),
		"loops.wasm":   looping.module(),
		"text.wasm":    []byte("(module)"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), module, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// objecting is a command that objects to the variable A, as long as the document is
// so long that it must be in there.
func objecting(t *testing.T) []byte {
	t.Helper()
	const objects, allows = `{"violations":[{"change":"env:A","msg":"no A"}]}`, `{"violations":[]}`
	length := func(r *engine.Review) int {
		text, err := document.Marshal(r, document.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return len(text)
	}
	two, one := twoVariables(), twoVariables()
	one.Changes = one.Changes[1:]
	c := newCommand()
	c.Data(answerAt, []byte(objects))
	c.Data(2*answerAt, []byte(allows))
	i32 := wasmtest.I32Const
	return c.module(
		i32(16), i32(requestAt), opI32Store, 2, 0, i32(20), i32(1<<16), opI32Store, 2, 0,
		i32(0), i32(16), i32(1), i32(32), opCall, c.calls["fd_read"], opDrop,
		i32(32), opI32Load, 2, 0, i32(int32((length(two)+length(one))/2)), opI32GtU,
		opIf, void, c.write(1, answerAt, len(objects)), opElse, c.write(1, 2*answerAt, len(allows)), opEnd)
}

// loadSet loads a configuration; DIR in it is the directory.
func loadSet(t *testing.T, dir, text string) (*policy.Set, error) {
	t.Helper()
	var cfg policy.Config
	at, err := policy.Decode("guard.yaml", []byte(strings.ReplaceAll(text, "DIR", dir)), &cfg)
	if err != nil {
		return nil, err
	}
	cfg.At = at
	return policy.Load(t.Context(), cfg)
}

func TestSetRefuses(t *testing.T) {
	dir := directory(t)
	for name, c := range map[string]struct{ text, want string }{
		"unknown key":     {"policy:\n  wasm:\n  - {nam: x}", `guard.yaml:3: unknown key "policy.wasm[0].nam"; known here: answerBytes, calls, config, fuel, instances, limits, logLines, memoryPages, name, path, requestBytes, sha256, startFuel`},
		"unknown limit":   {"policy:\n  wasm:\n  - name: x\n    limits:\n      nests: 7", `guard.yaml:5: unknown key "policy.wasm[0].limits.nests"`},
		"negative fuel":   {"policy:\n  wasm:\n  - name: x\n    fuel: -1", "guard.yaml:4: policy.wasm[0].fuel: cannot unmarshal !!int `-1` into uint64"},
		"no name":         {"policy:\n  wasm:\n  - path: DIR/allows.wasm", `guard.yaml: policy.wasm[0].name: the name "" of a policy must be`},
		"a bad name":      {"policy:\n  wasm:\n  - path: DIR/allows.wasm\n    name: x-y", `guard.yaml:4: policy.wasm[0].name: the name "x-y" of a policy must be`},
		"a policy's name": {"policy:\n  wasm:\n  - {path: DIR/allows.wasm, name: hooks}", `guard.yaml:3: policy.wasm[0].name: there is a policy "hooks" already, in `},
		"one name twice":  {"policy:\n  wasm:\n  - {path: DIR/allows.wasm, name: x}\n  - {path: DIR/rejects.wasm, name: x}", `guard.yaml:4: policy.wasm[1].name: there is another module of the name "x"`},
		"no file":         {"policy:\n  wasm:\n  - {path: DIR/none.wasm, name: x}", "guard.yaml:3: policy.wasm[0]: open " + dir + "/none.wasm: no such file or directory"},
		"text":            {"policy:\n  wasm:\n  - {path: DIR/allows.wasm, name: x}\n  - {path: DIR/text.wasm, name: y}", "guard.yaml:4: policy.wasm[1]: " + dir + "/text.wasm: no WebAssembly module"},
		"a limit":         {"policy:\n  wasm:\n  - {path: DIR/allows.wasm, name: x, limits: {functions: 1}}", "that limits.functions allows"},
		"the cache":       {"policy:\n  sandbox: {cache: cache}\n  wasm:\n  - {path: DIR/allows.wasm, name: x}", `guard.yaml:2: policy.sandbox: cache of machine code "cache": the path must be absolute`},
		"several":         {"policy:\n  wasm:\n  - {path: DIR/none.wasm, name: x}\n  - {path: DIR/text.wasm, name: y}", "none.wasm: no such file or directory; a file that holds a WebAssembly module is expected\nguard.yaml:4: policy.wasm[1]: "},
		"and others":      {"policy:\n  paths: [DIR/none]\n  wasm:\n  - {path: DIR/none.wasm, name: x}", "stat " + dir + "/none: no such file or directory\nguard.yaml:4: policy.wasm[0]: "},
		"reserved":        {"policy:\n  wasm:\n  - {path: DIR/allows.wasm, name: lib}", `guard.yaml:3: policy.wasm[0].name: the name "lib" is reserved`},
		"stripping by NRI's": {"policy:\n  wasm:\n  - {path: DIR/allows.wasm, name: x}\n  enforcement: {x: strip}", "guard.yaml:4: policy.enforcement.x: strip is impossible: x objects to a request as a whole, " +
			"as modules of NRI's convention do, and names no change; set deny or audit, or make the module a WASI command"},
		"enforced nothing": {"policy:\n  enforcement: {x: deny}\n  wasm:\n  - {path: DIR/allows.wasm, name: y}", `guard.yaml:2: policy.enforcement.x: there is no policy "x"`},
	} {
		if _, err := loadSet(t, dir, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// twoVariables is a review of two variables, which can be stripped.
func twoVariables() *engine.Review {
	r := small()
	r.Pod = &api.PodSandbox{Namespace: "shop"}
	r.Changes = append(r.Changes, &engine.Change{ID: "env:B", Op: engine.Add, Field: engine.Env, Key: "B", Value: "2", Container: "c0"})
	for _, c := range r.Changes {
		c.Pod = r.Pod
	}
	r.Strip = func(r *engine.Review, ids []string) (*engine.Review, error) {
		rest := *r
		rest.Changes = slices.DeleteFunc(slices.Clone(r.Changes), func(c *engine.Change) bool { return slices.Contains(ids, c.ID) })
		return &rest, nil
	}
	return r
}

// Modules decide beside Rego, by their enforcement.
func TestSetDecides(t *testing.T) {
	dir := directory(t)
	const objects = "policy:\n  timeout: 1m\n  profile: {enforce: privileged}\n  wasm: [{name: own, path: DIR/objects.wasm}]\n"
	for name, c := range map[string]struct {
		text    string
		allowed bool
		reasons string
		runs    int
	}{
		"denies":   {objects, false, "own: no A (env A)", 1},
		"strips":   {objects + "  enforcement: {own: strip}\n", true, "own: no A (env A)", 2},
		"audits":   {objects + "  enforcement: {own: audit}\n", true, "", 1},
		"is off":   {objects + "  enforcement: {own: off}\n", true, "", 0},
		"exempted": {objects + "exemptions: [{policy: own, namespaces: [sh*]}]\n", true, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := loadSet(t, dir, c.text)
			if err != nil {
				t.Fatal(err)
			}
			d := engine.New(set.Rules()).Decide(t.Context(), twoVariables())
			if got := strings.Join(d.Reasons(), "; "); d.Allowed != c.allowed || got != c.reasons {
				t.Errorf("allowed %v: %s", d.Allowed, got)
			}
			if name == "strips" && (len(d.Stripped) != 1 || d.Stripped[0].ID != "env:A") {
				t.Errorf("stripped: %+v", d.Stripped)
			}
			var fuel uint64
			for _, x := range d.Costs {
				fuel += x.Fuel
			}
			if once := cost(t, dir, twoVariables()); c.runs == 0 && fuel != 0 || c.runs == 1 && fuel != once || c.runs == 2 && fuel <= once || len(d.Costs) > 1 {
				t.Errorf("costs %+v of %d runs, one of which is %d", d.Costs, c.runs, once)
			}
		})
	}
}

// cost is what the command costs that objects.
func cost(t *testing.T, dir string, r *engine.Review) uint64 {
	t.Helper()
	p, err := wasm.Load(t.Context(), []wasm.Config{{Name: "own", Path: filepath.Join(dir, "objects.wasm")}}, wasm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p.Judge(t.Context(), r).Costs[0].Fuel
}

// What a set says of itself.
func TestSetDescribes(t *testing.T) {
	dir := directory(t)
	const text = "policy:\n  wasm: [{name: zz, path: DIR/rejects.wasm}, {name: own, path: DIR/objects.wasm}]\n  enforcement: {zz: audit, own: strip}\n"
	set, err := loadSet(t, dir, text)
	if err != nil {
		t.Fatal(err)
	}
	policies := set.Policies()
	if !slices.IsSortedFunc(policies, func(a, b policy.Policy) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the policies are not in order")
	}
	for _, p := range policies {
		want := ""
		switch p.Name {
		case "own":
			want = "wasi strip objects.wasm"
		case "zz":
			want = "nri audit rejects.wasm"
		default:
			continue
		}
		if got := fmt.Sprint(p.ABI, " ", p.Enforcement, " ", filepath.Base(p.File)); got != want || p.Library {
			t.Errorf("%s: %s, want %s", p.Name, got, want)
		}
	}
	if got := fmt.Sprint(set.Strips()); got != "[own]" {
		t.Errorf("strips: %s", got)
	}
	alone, err := set.Alone("own")
	if err != nil {
		t.Fatal(err)
	}
	if v := alone.Judge(t.Context(), twoVariables()); len(v.Violations) != 1 || v.Violations[0].Policy != "own" || len(v.Costs) != 1 {
		t.Errorf("alone: %+v", v)
	}
}

// The revision names the modules and what they may cost.
func TestSetRevision(t *testing.T) {
	dir := directory(t)
	seen := map[string]string{}
	for _, text := range []string{"", "policy: {wasm: [{name: a, path: DIR/allows.wasm}]}", "policy: {wasm: [{name: a, path: DIR/rejects.wasm}]}",
		"policy: {wasm: [{name: b, path: DIR/allows.wasm}]}", "policy: {wasm: [{name: a, path: DIR/allows.wasm, fuel: 7000}]}"} {
		set, err := loadSet(t, dir, text)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[set.Revision()]; ok {
			t.Errorf("%q and %q have one revision", text, other)
		}
		seen[set.Revision()] = text
	}
}

// Decisions go on while sets with modules are swapped, each by one set as a whole;
// what nobody uses any more is freed.
func TestSetReloads(t *testing.T) {
	dir := directory(t)
	config := func(module string) policy.Config {
		return policy.Config{Policy: policy.Policies{Profile: policy.Profile{Enforce: policy.Privileged}, Timeout: policy.Duration(time.Minute),
			Wasm: []wasm.Config{{Name: "own", Path: filepath.Join(dir, module)}}}}
	}
	set, err := policy.Load(t.Context(), config("allows.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	guard := engine.New(set.Rules())
	allows := map[string]bool{set.Revision(): true}
	type seen struct {
		revision string
		allowed  bool
		reasons  string
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	decisions := make([]map[seen]int, 2)
	for i := range decisions {
		decisions[i] = map[seen]int{}
		wg.Go(func() {
			for {
				d := guard.Decide(context.Background(), middling())
				decisions[i][seen{d.Revision, d.Allowed, strings.Join(d.Reasons(), "; ")}]++
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	freed := make(chan struct{}, 10)
	for i := range 4 {
		module := []string{"rejects.wasm", "allows.wasm"}[i%2]
		next, err := policy.Reload(t.Context(), guard, config(module))
		if err != nil {
			t.Fatal(err)
		}
		allows[next.Revision()] = module == "allows.wasm"
		runtime.AddCleanup(next, func(struct{}) { freed <- struct{}{} }, struct{}{})
		if _, err := policy.Reload(t.Context(), guard, config("text.wasm")); err == nil {
			t.Error("what is no module was loaded")
		}
	}
	close(stop)
	wg.Wait()
	for _, m := range decisions {
		for s, n := range m {
			reasons := "own: no"
			if allows[s.revision] {
				reasons = ""
			}
			if s.reasons != reasons || s.allowed != allows[s.revision] {
				t.Errorf("%d decisions of revision %s: allowed %v, %s", n, s.revision, s.allowed, s.reasons)
			}
		}
	}
	for n := 0; n < 2; { // the last is in force, and another may be on the stack
		runtime.GC()
		select {
		case <-freed:
			n++
		case <-t.Context().Done():
			t.Fatal("sets are kept")
		default:
		}
	}
}
