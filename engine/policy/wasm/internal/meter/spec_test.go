package meter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// specScript is one file of the WebAssembly specification's tests, as wast2json writes it.
type specScript struct {
	Commands []specCommand `json:"commands"`
}

type specCommand struct {
	Type       string     `json:"type"`
	Line       int        `json:"line"`
	Name       string     `json:"name"`
	Filename   string     `json:"filename"`
	As         string     `json:"as"`
	ModuleType string     `json:"module_type"`
	Text       string     `json:"text"`
	Action     specAction `json:"action"`
	Expected   []specVal  `json:"expected"`
}

type specAction struct {
	Type   string    `json:"type"`
	Module string    `json:"module"`
	Field  string    `json:"field"`
	Args   []specVal `json:"args"`
}

type specVal struct {
	Type  string `json:"type"`
	Lane  string `json:"lane_type"`
	Value any    `json:"value"`
}

// specDir is where wazero keeps the tests of WebAssembly 2.0, in its own module.
func specDir(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
	if _, err := os.Stat(filepath.Join(dir, "v2", "testdata")); err != nil {
		t.Skipf("this copy of wazero carries no tests of the specification: %v", err)
	}
	return dir
}

// wide are limits that the specification's modules keep to.
var wide = Limits{MemoryPages: 65_536, TableEntries: 1<<31 - 1, Parameters: 1_000, Locals: 100_000, Nesting: 10_000, Tables: 100, BranchTargets: 1 << 20,
	ModuleBranchTargets: 1 << 20, FunctionCost: 1 << 20}

// TestSpecification runs the specification's tests on each module as it is and instrumented with ample fuel, in lockstep, and compares.
func TestSpecification(t *testing.T) {
	dir := specDir(t)
	scripts, err := filepath.Glob(filepath.Join(dir, "v2", "testdata", "*.json"))
	if err != nil || len(scripts) < 100 {
		t.Fatalf("%d scripts in %s: %v", len(scripts), dir, err)
	}
	spectest, err := os.ReadFile(filepath.Join(dir, "testdata", "spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			t.Parallel()
			runScript(t, path, spectest)
		})
	}
}

// side is one of the two ways to run a script.
type side struct {
	meter    bool
	runtime  wazero.Runtime
	named    map[string]api.Module
	last     api.Module
	counters []api.MutableGlobal // of all instances: fuel and depth in turn
	stack    uint32
}

const ampleFuel = 1 << 60

func newSide(t *testing.T, meter bool) *side {
	ctx := context.Background()
	s := &side{meter: meter, named: map[string]api.Module{}}
	s.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(api.CoreFeaturesV2))
	t.Cleanup(func() { _ = s.runtime.Close(ctx) })
	return s
}

// load instantiates a module under a name and runs its start function.
func (s *side) load(module []byte, name string) (api.Module, error) {
	ctx := context.Background()
	config := wazero.NewModuleConfig().WithName(name).WithStartFunctions()
	if !s.meter {
		return s.runtime.InstantiateWithConfig(ctx, module, config)
	}
	m, err := Check(module, wide)
	if err != nil {
		return nil, err
	}
	// What is not valid must not become valid by instrumenting.
	if _, err := s.runtime.CompileModule(ctx, module); err != nil {
		return nil, err
	}
	out, err := m.Instrument()
	if err != nil {
		return nil, err
	}
	instance, err := s.runtime.InstantiateWithConfig(ctx, out, config)
	if err != nil {
		return nil, err
	}
	s.stack = m.StackBytes
	s.counters = append(s.counters, instance.ExportedGlobal(m.FuelGlobal).(api.MutableGlobal),
		instance.ExportedGlobal(m.DepthGlobal).(api.MutableGlobal))
	if m.HasStart {
		if _, err := s.call(instance, m.StartExport, nil); err != nil {
			return nil, err
		}
	}
	return instance, nil
}

func (s *side) call(m api.Module, field string, args []uint64) ([]uint64, error) {
	for i := 0; i < len(s.counters); i += 2 {
		s.counters[i].Set(ampleFuel)
		s.counters[i+1].Set(0)
	}
	results, err := m.ExportedFunction(field).Call(context.Background(), args...)
	for i := 0; i < len(s.counters); i += 2 {
		if err != nil && uint32(s.counters[i+1].Get()) > s.stack {
			return nil, errors.New("stack overflow")
		}
		if int64(s.counters[i].Get()) < 0 {
			return nil, errors.New("out of fuel")
		}
	}
	return results, err
}

func runScript(t *testing.T, path string, spectest []byte) {
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var script specScript
	if err := json.Unmarshal(raw, &script); err != nil {
		t.Fatal(err)
	}
	sides := [2]*side{newSide(t, false), newSide(t, true)}
	for _, s := range sides {
		if _, err := s.load(spectest, "spectest"); err != nil {
			t.Fatal(err)
		}
	}
	r := specRun{dir: filepath.Dir(path), sides: sides}
	for i, c := range script.Commands {
		as := ""
		if i+1 < len(script.Commands) && script.Commands[i+1].Type == "register" {
			as = script.Commands[i+1].As
		}
		if err := r.command(c, as); err != nil {
			t.Errorf("line %d, %s %s: %v", c.Line, c.Type, c.Action.Field, err)
			if c.Type == "module" {
				return
			}
		}
	}
}

type specRun struct {
	dir   string
	sides [2]*side
}

func (r *specRun) command(c specCommand, as string) error {
	switch c.Type {
	case "register":
		return nil
	case "module":
		return r.module(c, as)
	case "assert_return", "action", "assert_trap", "assert_exhaustion":
		return r.action(c)
	}
	if c.ModuleType == "text" {
		return nil // needs a parser of the text format
	}
	return r.refused(c)
}

func (r *specRun) module(c specCommand, as string) error {
	module, err := os.ReadFile(filepath.Join(r.dir, c.Filename))
	if err != nil {
		return err
	}
	for _, s := range r.sides {
		instance, err := s.load(module, as)
		if err != nil {
			return fmt.Errorf("metered %v: %w", s.meter, err)
		}
		s.last = instance
		if c.Name != "" {
			s.named[c.Name] = instance
		}
	}
	return nil
}

var errAccepted = errors.New("accepted")

// refused holds that both sides refuse a module, or that neither does: wazero accepts a segment that does not fit its table.
func (r *specRun) refused(c specCommand) error {
	module, err := os.ReadFile(filepath.Join(r.dir, c.Filename))
	if err != nil {
		return err
	}
	_, original := r.sides[0].load(module, "")
	_, ours := r.sides[1].load(module, "")
	if (original == nil) != (ours == nil) {
		return fmt.Errorf("the original: %w, metered: %w", cmp.Or(original, errAccepted), cmp.Or(ours, errAccepted))
	}
	if (c.Type == "assert_invalid" || c.Type == "assert_malformed") && ours == nil {
		return fmt.Errorf("accepted, though %s", c.Text)
	}
	return nil
}

func (r *specRun) action(c specCommand) error {
	var results [2][]uint64
	var errs [2]string
	for i, s := range r.sides {
		m := s.last
		if c.Action.Module != "" {
			m = s.named[c.Action.Module]
		}
		if c.Action.Type == "get" {
			results[i] = []uint64{m.ExportedGlobal(c.Action.Field).Get()}
			continue
		}
		var args []uint64
		for _, a := range c.Action.Args {
			args = append(args, a.words()...)
		}
		var err error
		results[i], err = s.call(m, c.Action.Field, args)
		if err != nil {
			errs[i], _, _ = strings.Cut(err.Error(), "\n")
		}
	}
	if errs[0] != errs[1] {
		return fmt.Errorf("the original: %q, metered: %q", errs[0], errs[1])
	}
	if traps := c.Type == "assert_trap" || c.Type == "assert_exhaustion"; traps != (errs[0] != "") {
		return fmt.Errorf("error %q, expected %q", errs[0], c.Text)
	}
	if errs[0] != "" {
		return nil
	}
	return compare(c, results[0], results[1])
}

// compare holds results against each other; where a NaN is expected, any NaN does on either side.
func compare(c specCommand, original, ours []uint64) error {
	at := 0
	for i, e := range c.Expected {
		n := len(e.words())
		if len(original) < at+n || len(ours) < at+n {
			return fmt.Errorf("too few results: %d and %d", len(original), len(ours))
		}
		if a, b := e.text(original[at:at+n]), e.text(ours[at:at+n]); a != b {
			return fmt.Errorf("result %d: the original %s, metered %s", i, a, b)
		}
		at += n
	}
	if len(original) != len(ours) {
		return fmt.Errorf("%d and %d results", len(original), len(ours))
	}
	return nil
}

// words gives a value as wazero takes it.
func (v specVal) words() []uint64 {
	lanes, ok := v.Value.([]any)
	if !ok {
		s, _ := v.Value.(string)
		return []uint64{word(v.Type, s)}
	}
	width := 128 / len(lanes)
	out := make([]uint64, 2)
	for i, lane := range lanes {
		out[i*width/64] |= word(v.Lane, lane.(string)) << (i * width % 64)
	}
	return out
}

func word(typ, s string) uint64 {
	if s == "null" || s == "" || strings.HasPrefix(s, "nan") {
		return 0
	}
	var n uint64
	if strings.HasPrefix(s, "-") {
		i, _ := strconv.ParseInt(s, 10, 64)
		n = uint64(i)
	} else {
		n, _ = strconv.ParseUint(s, 10, 64)
	}
	switch {
	case typ == "externref":
		return n + 1 // wazero takes 0 for null
	case strings.HasSuffix(typ, "32"):
		return uint64(uint32(n))
	}
	return n
}

// text writes a result so that two that count as the same are the same.
func (v specVal) text(words []uint64) string {
	lanes, ok := v.Value.([]any)
	if !ok {
		s, _ := v.Value.(string)
		switch {
		case v.Type == "funcref":
			return fmt.Sprint("null: ", words[0] == 0) // an address otherwise
		case strings.HasPrefix(s, "nan") && isNaN(v.Type, words[0]):
			return "nan"
		case strings.HasSuffix(v.Type, "32"):
			return fmt.Sprint(uint32(words[0]))
		}
		return fmt.Sprint(words[0])
	}
	width := 128 / len(lanes)
	var out []string
	for i, lane := range lanes {
		w := words[i*width/64] >> (i * width % 64)
		if width < 64 {
			w &= 1<<width - 1
		}
		if strings.HasPrefix(lane.(string), "nan") && isNaN(v.Lane, w) {
			out = append(out, "nan")
			continue
		}
		out = append(out, fmt.Sprint(w))
	}
	return strings.Join(out, " ")
}

func isNaN(typ string, bits uint64) bool {
	if strings.HasSuffix(typ, "32") {
		return bits>>23&0xff == 0xff && bits&(1<<23-1) != 0
	}
	return bits>>52&0x7ff == 0x7ff && bits&(1<<52-1) != 0
}

// validModules are those that wazero accepts.
func validModules(t testing.TB, paths []string) []string {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2))
	t.Cleanup(func() { _ = r.Close(ctx) })
	var valid []string
	for _, path := range paths {
		module, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if compiled, err := r.CompileModule(ctx, module); err == nil {
			valid = append(valid, path)
			_ = compiled.Close(ctx)
		}
	}
	return valid
}
