package wasm_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy/wasm"
	"github.com/nri-guard/nri-guard/engine/policy/wasm/internal/wasmtest"
)

// Files that are no modules, and modules that are no policies. Each error names the
// file and says what is expected.
func TestLoadRefuses(t *testing.T) {
	good := newGuest().module()
	for name, c := range map[string]struct {
		module []byte
		want   string
	}{
		"empty":            {nil, "is empty; a WebAssembly module is expected"},
		"text":             {[]byte("(module)"), "no WebAssembly module"},
		"half a magic":     {[]byte("\x00as"), "the WebAssembly module is truncated"},
		"a component":      {[]byte("\x00asm\x0d\x00\x01\x00"), "a WebAssembly component, where a core module is expected"},
		"another version":  {[]byte("\x00asm\x02\x00\x00\x00"), "unknown version"},
		"truncated":        {good[:len(good)-3], "the WebAssembly module is truncated"},
		"truncated early":  {good[:5], "the WebAssembly module is truncated"},
		"trailing bytes":   {append(good[:len(good):len(good)], 7), "truncated"},
		"no functions":     {wasmtest.Preamble(), "exports neither plugin_validate_container_adjustment (i32, i32) -> (i64), as a validator for NRI does, nor _start () -> (), as a WASI command does"},
		"a global instead": {exporting("_start", wasmtest.GlobalKind), "as a WASI command does; its _start is a global"},
		"no malloc":        {without("malloc"), "exports plugin_validate_container_adjustment, but not malloc (i32) -> (i32), which is needed to hand it a request"},
		"no free":          {without("free"), "but not free (i32) -> ()"},
		"no memory":        {noMemory(), "has no memory, in which it could be told what to judge"},
		"malloc of two":    {signed("malloc", []byte{wasmtest.I32, wasmtest.I32}, []byte{wasmtest.I32}), "exports malloc as (i32, i32) -> (i32), and it must be (i32) -> (i32)"},
		"free that gives":  {signed("free", []byte{wasmtest.I32}, []byte{wasmtest.I32}), "exports free as (i32) -> (i32), and it must be (i32) -> ()"},
		"validate of i64": {signed("plugin_validate_container_adjustment", []byte{wasmtest.I64}, []byte{wasmtest.I64}),
			"exports plugin_validate_container_adjustment as (i64) -> (i64), and it must be (i32, i32) -> (i64)"},
		"configure of v128": {signed("plugin_configure", []byte{wasmtest.V128, wasmtest.F32}, []byte{wasmtest.F64, wasmtest.FuncRef}),
			"exports plugin_configure as (v128, f32) -> (f64, funcref), and it must be (i32, i32) -> (i64)"},
		"start of one": {signed("_start", []byte{wasmtest.I32}, nil), "exports _start as (i32) -> (), and it must be () -> ()"},
		"invalid":      {invalid(), "is not valid: "},
		"made valid by what is added": {func() []byte {
			g := newGuest()
			g.validate = wasmtest.Cat(wasmtest.I64Const(1), opGlobalSet, 0, wasmtest.I64Const(0))
			return g.module()
		}(), "global"},
		"more than WebAssembly 2.0": {func() []byte {
			g := newGuest()
			g.validate = wasmtest.Cat(0xfe, 3, 0, wasmtest.I64Const(0)) // atomic.fence
			return g.module()
		}(), "only WebAssembly 2.0 is supported"},
		"a tail call": {func() []byte {
			g := newGuest()
			g.validate = wasmtest.Cat(0x12, 0, wasmtest.I64Const(0))
			return g.module()
		}(), "only WebAssembly 2.0 is supported"},
		"elements behind the table": {func() []byte {
			g := newGuest()
			g.Table(wasmtest.FuncRef, 5, 10)
			g.Elements(4, 0, 0)
			return g.module()
		}(), "element segment 0 has 2 elements where its table has room for 1: it cannot be instantiated"},
		"elements far behind": {func() []byte {
			g := newGuest()
			g.Table(wasmtest.FuncRef, 5, 10)
			g.Elements(4, 0)
			g.Elements(-1, 0)
			return g.module()
		}(), "element segment 1 has 1 elements where its table has room for 0: it cannot be instantiated"},
		"too much memory": {func() []byte {
			g := newGuest()
			g.memory = [2]int{257, -1}
			return g.module()
		}(), "more than the 256 that memoryPages allows"},
		"a function too large": {func() []byte {
			g := newGuest()
			g.Func(g.nothing, nil, wasmtest.Repeat(600_000, 0x01))
			return g.module()
		}(), "that limits.functionBytes allows"},
	} {
		path := file(t, c.module)
		_, err := wasm.Load(t.Context(), []wasm.Config{{Name: "policy", Path: path}}, wasm.Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("%s: %v, want %s: ...%s", name, err, path, c.want)
		}
	}
}

func exporting(name string, kind byte) []byte {
	b := wasmtest.Builder{}
	b.Global(wasmtest.I32, false, wasmtest.I32Const(0))
	b.Export(name, kind, 0)
	return b.Bytes()
}

// without gives a module that lacks an export, which has another name.
func without(name string) []byte {
	return []byte(strings.Replace(string(newGuest().module()), name, strings.ToUpper(name), 1))
}

func noMemory() []byte {
	g := newGuest()
	g.noMemory = true
	return g.module()
}

// signed gives a module that exports a function with a signature of its own.
func signed(name string, params, results []byte) []byte {
	g := newGuest()
	f := g.Func(g.Type(params, results), nil, opUnreachable)
	switch name {
	case "_start":
		g.Export(name, wasmtest.FunctionKind, f)
		return g.Bytes()
	case "plugin_configure":
		g.Export(name, wasmtest.FunctionKind, f)
	default:
		g.instead = map[string]int{name: f}
	}
	return g.module()
}

func invalid() []byte {
	g := newGuest()
	g.validate = wasmtest.Cat(wasmtest.I32Const(1)) // an i64 is due
	return g.module()
}

func TestLoadRefusesFiles(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	good := newGuest().module()
	path := file(t, good)
	digest := fmt.Sprintf("%x", sha256.Sum256(good))
	for name, c := range map[string]struct {
		config wasm.Config
		key    string
		want   string
	}{
		"missing":          {wasm.Config{Path: filepath.Join(dir, "none.wasm")}, "", "open " + dir + "/none.wasm: no such file or directory; a file that holds a WebAssembly module is expected"},
		"a directory":      {wasm.Config{Path: dir}, "", dir + ": is a directory; a file that holds a WebAssembly module is expected"},
		"without size":     {wasm.Config{Path: "/proc/self/pagemap"}, "", "/proc/self/pagemap: is empty; a WebAssembly module is expected"},
		"a pipe":           {wasm.Config{Path: pipe}, "", pipe + ": is a pipe; a file that holds a WebAssembly module is expected"},
		"a device":         {wasm.Config{Path: "/dev/zero"}, "", "/dev/zero: is a device; a file that holds a WebAssembly module is expected"},
		"too large":        {wasm.Config{Path: path, Limits: wasm.Limits{ModuleBytes: 100}}, "", fmt.Sprintf("%s: has %d bytes, more than the 100 that limits.moduleBytes allows", path, len(good))},
		"another digest":   {wasm.Config{Path: path, SHA256: strings.Repeat("ab", 32)}, "", path + ": has the sha256 " + digest + ", and " + strings.Repeat("ab", 32) + " is expected"},
		"half a digest":    {wasm.Config{Path: path, SHA256: "abcd"}, "sha256", `"abcd" must be 64 hexadecimal digits`},
		"no path":          {wasm.Config{}, "path", "policy policy needs the path of its module"},
		"a bad name":       {wasm.Config{Name: "No-Such", Path: path}, "name", `the name "No-Such" of a policy must be lower-case letters, digits and _, beginning with a letter`},
		"lib":              {wasm.Config{Name: "lib", Path: path}, "name", `the name "lib" is reserved, as package nri.lib is; give the policy another`},
		"config":           {wasm.Config{Name: "config", Path: path}, "name", `the name "config" is reserved, as package nri.config is; give the policy another`},
		"much fuel":        {wasm.Config{Path: path, Fuel: 50_000_001}, "fuel", "fuel must be from 1 to 50000000"},
		"much to start":    {wasm.Config{Path: path, StartFuel: 1 << 63}, "startFuel", "startFuel must be from 1 to 50000000"},
		"much memory":      {wasm.Config{Path: path, MemoryPages: 1 << 20}, "memoryPages", "memoryPages must be from 1 to 16384"},
		"instances":        {wasm.Config{Path: path, Instances: -1}, "instances", "instances must be from 1 to 256"},
		"calls":            {wasm.Config{Path: path, Calls: -1}, "calls", "calls must be from 1 to 4611686018427387904"},
		"long answers":     {wasm.Config{Path: path, AnswerBytes: 1 << 31}, "answerBytes", "answerBytes must be from 1 to 1073741824"},
		"a negative limit": {wasm.Config{Path: path, Limits: wasm.Limits{Functions: -5}}, "limits.functions", "limits.functions must be from 1 to 268435456, or left out"},
		"no limit":         {wasm.Config{Path: path, Limits: wasm.Limits{TableEntries: math.MaxInt}}, "limits.tableEntries", "limits.tableEntries must be from 1 to 268435456, or left out"},
		"a config":         {wasm.Config{Path: path, Configuration: "x"}, "", path + ": has a config, but exports no plugin_configure to be told of it"},
	} {
		if c.config.Name == "" {
			c.config.Name = "policy"
		}
		_, err := wasm.Load(t.Context(), []wasm.Config{c.config}, wasm.Options{})
		var wrong *wasm.ConfigError
		if !errors.As(err, &wrong) || wrong.Key != c.key || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %+v, want %s: %s", name, err, c.key, c.want)
		}
	}
	if _, err := wasm.Load(t.Context(), []wasm.Config{{Name: "policy", Path: path, SHA256: strings.ToUpper(digest)}}, wasm.Options{}); err != nil {
		t.Errorf("the right digest: %v", err)
	}
}

// All that is wrong is told at once.
func TestLoadTellsAll(t *testing.T) {
	path := file(t, newGuest().module())
	_, err := wasm.Load(t.Context(), []wasm.Config{{Name: "a", Path: path}, {Name: "b"}, {Name: "a", Path: path}}, wasm.Options{})
	if err == nil || err.Error() != "policy b needs the path of its module\nthere is another module of the name \"a\"" {
		t.Errorf("%v", err)
	}
	_, err = wasm.Load(t.Context(), []wasm.Config{{Name: "a", Path: "/none/a"}, {Name: "b", Path: path}, {Name: "c", Path: "/none/c"}}, wasm.Options{})
	if err == nil || err.Error() != "open /none/a: no such file or directory; a file that holds a WebAssembly module is expected\nopen /none/c: no such file or directory; a file that holds a WebAssembly module is expected" {
		t.Errorf("%v", err)
	}
}

func TestLoadEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := wasm.Load(ctx, []wasm.Config{{Name: "a", Path: file(t, newGuest().module())}}, wasm.Options{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// What may not be imported is refused, by name.
func TestForbiddenImports(t *testing.T) {
	i32 := func(n int) []byte { return wasmtest.Repeat(n, wasmtest.I32) }
	for name, c := range map[string]struct {
		make func(b *wasmtest.Builder)
		want string
	}{
		"sockets": {func(b *wasmtest.Builder) {
			b.ImportFunc("wasi_snapshot_preview1", "sock_accept", b.Type(i32(3), i32(1)))
		},
			`imports function "sock_accept" of "wasi_snapshot_preview1", which is not among what a policy may import: env.log, wasi_snapshot_preview1.args_get, `},
		"files": {func(b *wasmtest.Builder) { b.ImportFunc("wasi_snapshot_preview1", "path_open", b.Type(i32(9), i32(1))) }, `imports function "path_open"`},
		"signals": {func(b *wasmtest.Builder) {
			b.ImportFunc("wasi_snapshot_preview1", "proc_raise", b.Type(i32(1), i32(1)))
		}, `imports function "proc_raise"`},
		"an older WASI":      {func(b *wasmtest.Builder) { b.ImportFunc("wasi_unstable", "fd_write", b.Type(i32(4), i32(1))) }, `imports function "fd_write" of "wasi_unstable"`},
		"another module":     {func(b *wasmtest.Builder) { b.ImportFunc("env", "exec", b.Type(nil, nil)) }, `imports function "exec" of "env"`},
		"no name":            {func(b *wasmtest.Builder) { b.ImportFunc("", "", b.Type(nil, nil)) }, `imports function "" of ""`},
		"control characters": {func(b *wasmtest.Builder) { b.ImportFunc("env", "a\nb", b.Type(nil, nil)) }, `imports function "a\nb" of "env"`},
		"another signature": {func(b *wasmtest.Builder) { b.ImportFunc("env", "log", b.Type(i32(1), nil)) },
			`imports "log" of "env" as (i32) -> (), and it is (i32, i32) -> (i64)`},
		"a table":                {func(b *wasmtest.Builder) { b.ImportTable("env", "table", 1) }, `imports table "table" of "env"`},
		"a global":               {func(b *wasmtest.Builder) { b.ImportGlobal("env", "global", wasmtest.I32) }, `imports global "global" of "env"`},
		"a function as a global": {func(b *wasmtest.Builder) { b.ImportGlobal("env", "log", wasmtest.I32) }, `imports "log" of "env" as a global, and it is a function`},
	} {
		g := newGuest()
		c.make(&g.Builder)
		if _, err := load(t, g.module(), wasm.Config{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	// Names of any length and content give a line of some length.
	g := newGuest()
	g.ImportFunc(strings.Repeat("m", 100_000), strings.Repeat("\x1b\u202en", 30_000), g.Type(nil, nil))
	_, err := load(t, g.module(), wasm.Config{})
	if err == nil || !strings.Contains(err.Error(), `imports function "\x1b\u202en\x1b`) || len(err.Error()) > 2500 || engine.Printable(err.Error()) != err.Error() {
		t.Errorf("%v", err)
	}
	g = newGuest()
	g.Export(strings.Repeat("x", 100_000), wasmtest.FunctionKind, g.Func(g.nothing, nil))
	g.Export(strings.Repeat("x", 100_000), wasmtest.FunctionKind, g.Func(g.nothing, nil))
	if _, err := load(t, g.module(), wasm.Config{}); err == nil || !strings.Contains(err.Error(), `duplicate export name "xxx`) || len(err.Error()) > 500 {
		t.Errorf("%v", err)
	}
	g = newGuest()
	g.ImportMemory("env", "memory", 1)
	g.noMemory = true
	if _, err := load(t, g.module(), wasm.Config{}); err == nil || !strings.Contains(err.Error(), `imports memory "memory" of "env"`) {
		t.Errorf("memory: %v", err)
	}
}

// Of all that WASI has, whatever is not in the list is refused by name.
func TestForbiddenWASI(t *testing.T) {
	const listed = "fd_read fd_write fd_close fd_fdstat_get fd_fdstat_set_flags fd_seek fd_prestat_get fd_prestat_dir_name " +
		"args_get args_sizes_get environ_get environ_sizes_get clock_time_get clock_res_get random_get poll_oneoff sched_yield proc_exit"
	r := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	host, err := wasi_snapshot_preview1.NewBuilder(r).Compile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for name, d := range host.ExportedFunctions() {
		g := newGuest()
		g.ImportFunc("wasi_snapshot_preview1", name, g.Type(d.ParamTypes(), d.ResultTypes()))
		_, err := load(t, g.module(), wasm.Config{})
		if slices.Contains(strings.Fields(listed), name) {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		refused++
		want := fmt.Sprintf("imports function %q of \"wasi_snapshot_preview1\", which is not among what a policy may import: env.log, ", name)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if refused != 46-18 {
		t.Errorf("%d functions are refused", refused)
	}
}

// A module with NRI's exports is asked in NRI's way, and its _start is not called.
func TestConventions(t *testing.T) {
	g := newGuest()
	g.Export("_start", wasmtest.FunctionKind, g.Func(g.nothing, nil, opUnreachable))
	both := mustLoad(t, g.module(), wasm.Config{})
	if got := both.Policies()[0].ABI; got != "nri" || failure(both, reference(t)) != "" {
		t.Errorf("%s: %s", got, failure(both, reference(t)))
	}
	if got := mustLoad(t, says(`{"violations":[]}`), wasm.Config{}).Policies()[0].ABI; got != "wasi" {
		t.Errorf("a command is %s", got)
	}
}

// plugin_configure is called once, with the configuration, and must mean to validate.
func TestConfigure(t *testing.T) {
	configured := func(answer string) []byte {
		g := newGuest()
		called := g.Global(wasmtest.I32, true, wasmtest.I32Const(0))
		g.Data(answerAt, []byte(answer))
		// It checks that the configuration has begun with the text "yes", and that
		// nobody has called it before.
		f := g.Func(g.pair, nil, opGlobalGet, called, opIf, void, opUnreachable, opEnd,
			wasmtest.I32Const(1), opGlobalSet, called,
			wasmtest.I32Const(requestAt), opI32Load, 2, 0, wasmtest.I32Const(0x6579030a), 0x47, opIf, void, opUnreachable, opEnd,
			packed(answerAt, len(answer)))
		g.Export("plugin_configure", wasmtest.FunctionKind, f)
		return g.module()
	}
	for name, c := range map[string]struct{ answer, config, want string }{
		"everything":         {"", "yes", ""},
		"validation":         {"\x10" + string(binary.AppendUvarint(nil, 1<<(api.Event_VALIDATE_CONTAINER_ADJUSTMENT-1))), "yes", ""},
		"other events":       {"\x10\x08", "yes", "the module subscribes to other events than ValidateContainerAdjustment"},
		"no answer":          {"\xff", "yes", "the answer is no ConfigureResponse"},
		"another configured": {"", "no", "plugin_configure: it trapped: unreachable"},
		"not configured":     {"", "", "plugin_configure: it trapped: unreachable"},
	} {
		p, err := load(t, configured(c.answer), wasm.Config{Configuration: c.config})
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", name, err, c.want)
		case err == nil && failure(p, small()) != "":
			t.Errorf("%s: %s", name, failure(p, small()))
		}
	}
}

// A function of the host in the place of one of the module's is only that.
func TestHostFunctionAsExport(t *testing.T) {
	b := &wasmtest.Builder{}
	i32 := func(n int) []byte { return wasmtest.Repeat(n, wasmtest.I32) }
	one := b.Type(i32(1), i32(1))
	exit := b.ImportFunc("wasi_snapshot_preview1", "proc_exit", b.Type(i32(1), nil))
	closing := b.ImportFunc("wasi_snapshot_preview1", "fd_close", one)
	logging := b.ImportFunc("env", "log", b.Type(i32(2), []byte{wasmtest.I64}))
	b.Memory(1, -1)
	b.Export("malloc", wasmtest.FunctionKind, closing)
	b.Export("free", wasmtest.FunctionKind, exit)
	b.Export("plugin_validate_container_adjustment", wasmtest.FunctionKind, logging)
	p := mustLoad(t, b.Bytes(), wasm.Config{})
	// fd_close answers 8, where the request goes; it is no LogRequest.
	if got := failure(p, reference(t)); got != noLogRequest {
		t.Errorf("failure: %s", got)
	}
}

// Without NRI's messages a validator cannot be asked, and so nothing is allowed; a
// command can. A registration is nothing that a validator of adjustments judges.
func TestWithoutMessages(t *testing.T) {
	r := small()
	r.Messages = nil
	p := mustLoad(t, newGuest().module(), wasm.Config{})
	if got := failure(p, r); !strings.HasPrefix(got, "the review could not be shown to it: it was not made of NRI's messages") {
		t.Errorf("failure: %s", got)
	}
	if got := failure(mustLoad(t, says(`{"violations":[]}`), wasm.Config{}), r); got != "" {
		t.Errorf("failure of a command: %s", got)
	}
	r.Operation = engine.RegisterPlugin
	if v := p.Judge(t.Context(), r); len(v.Failures)+len(v.Violations) > 0 {
		t.Errorf("registration: %+v", v)
	}
}

func TestRequestTooLong(t *testing.T) {
	for _, module := range [][]byte{newGuest().module(), says(`{"violations":[]}`)} {
		p := mustLoad(t, module, wasm.Config{RequestBytes: 80})
		if got := failure(p, middling()); !strings.Contains(got, "bytes, more than the 80 that requestBytes allows") {
			t.Errorf("failure: %s", got)
		}
	}
}

// What cannot be written as protobuf is not shown.
func TestRequestNoUTF8(t *testing.T) {
	r := small()
	r.Container.Id = "\xff"
	if got := failure(mustLoad(t, newGuest().module(), wasm.Config{}), r); !strings.HasPrefix(got, "the review could not be shown to it: ") {
		t.Errorf("failure: %s", got)
	}
}
