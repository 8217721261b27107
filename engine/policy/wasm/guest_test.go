package wasm_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy/wasm"
	"github.com/nri-guard/nri-guard/engine/policy/wasm/internal/wasmtest"
)

// messages are what a review was made of, as the border has it.
type messages struct {
	*api.ValidateContainerAdjustmentRequest
}

func (m messages) ValidateRequest() *api.ValidateContainerAdjustmentRequest {
	return m.ValidateContainerAdjustmentRequest
}

// reference is a review of the request that costs are measured with.
func reference(tb testing.TB) *engine.Review {
	tb.Helper()
	text, err := os.ReadFile("../../../cmd/nri-guard/reference.json")
	if err != nil {
		tb.Fatal(err)
	}
	req := &api.ValidateContainerAdjustmentRequest{}
	if err := protojson.Unmarshal(text, req); err != nil {
		tb.Fatal(err)
	}
	return reviewOf(req)
}

// small is a review of next to nothing.
func small() *engine.Review {
	return reviewOf(&api.ValidateContainerAdjustmentRequest{Container: &api.Container{Id: "c0"}})
}

func reviewOf(req *api.ValidateContainerAdjustmentRequest) *engine.Review {
	return &engine.Review{Version: engine.Version, Operation: engine.CreateContainer,
		Pod: req.GetPod(), Container: req.GetContainer(), Messages: messages{req},
		Changes: []*engine.Change{{ID: "env:A", Op: engine.Add, Field: engine.Env, Key: "A", Value: "1", Container: req.GetContainer().GetId()}}}
}

// Instructions that the guests here are made of.
const (
	opUnreachable = 0x00
	opBlock       = 0x02
	opLoop        = 0x03
	opIf          = 0x04
	opElse        = 0x05
	opEnd         = 0x0b
	opBranch      = 0x0c
	opBranchIf    = 0x0d
	opCall        = 0x10
	opDrop        = 0x1a
	opLocalGet    = 0x20
	opLocalSet    = 0x21
	opGlobalGet   = 0x23
	opGlobalSet   = 0x24
	opI32Load     = 0x28
	opI64Load     = 0x29
	opI32Store    = 0x36
	opMemoryGrow  = 0x40
	opI32LtU      = 0x49
	opI32GtU      = 0x4b
	opI32Add      = 0x6a
	opI64LtU      = 0x54
	void          = 0x40 // type of a block
)

// answerAt is where guests here keep their answers, requestAt where their malloc
// puts requests.
const (
	answerAt  = 1024
	requestAt = 8192
)

// guest is a module of NRI's convention in the making. It allows small requests and
// does to others what the test wants.
type guest struct {
	wasmtest.Builder
	// Types of functions.
	nothing, one, none, pair int // () -> (), (i32) -> (i32), (i32) -> (), (i32, i32) -> i64
	// Code of the functions, without the end. What validate does to a request that is
	// not small leaves an i64.
	validate, malloc, free any
	locals                 []byte // of validate, from 2 on
	memory                 [2]int
	noMemory               bool
	// instead are functions to be exported in the place of those.
	instead map[string]int
}

// newGuest begins a module. Imports have to be added first.
func newGuest() *guest { return new(guest).begin() }

// newLogger begins a module whose function 0 is NRI's log.
func newLogger() *guest {
	g := new(guest)
	g.ImportFunc("env", "log", g.Type([]byte{wasmtest.I32, wasmtest.I32}, []byte{wasmtest.I64}))
	return g.begin()
}

func (g *guest) begin() *guest {
	*g = guest{Builder: g.Builder, memory: [2]int{2, -1}, validate: wasmtest.I64Const(0), malloc: wasmtest.I32Const(requestAt), free: []byte{}}
	i32, i64 := []byte{wasmtest.I32}, []byte{wasmtest.I64}
	g.nothing, g.one, g.none = g.Type(nil, nil), g.Type(i32, i32), g.Type(i32, nil)
	g.pair = g.Type([]byte{wasmtest.I32, wasmtest.I32}, i64)
	return g
}

// module gives the module. Functions that the test adds come before, those of the
// convention behind.
func (g *guest) module() []byte {
	if !g.noMemory {
		g.Memory(g.memory[0], g.memory[1])
	}
	const smallRequest = 64
	validate := g.Func(g.pair, g.locals, opLocalGet, 1, wasmtest.I32Const(smallRequest), opI32GtU,
		opIf, wasmtest.I64, g.validate, opElse, wasmtest.I64Const(0), opEnd)
	for _, e := range []struct {
		name     string
		function int
	}{
		{"plugin_validate_container_adjustment", validate},
		{"malloc", g.Func(g.one, nil, g.malloc)},
		{"free", g.Func(g.none, nil, g.free)},
	} {
		if f, ok := g.instead[e.name]; ok {
			e.function = f
		}
		g.Export(e.name, wasmtest.FunctionKind, e.function)
	}
	return g.Bytes()
}

// answer makes the guest answer with bytes that it has in its memory.
func (g *guest) answer(b []byte) *guest {
	g.Data(answerAt, b)
	g.validate = packed(answerAt, len(b))
	return g
}

// packed gives the instruction of a pointer and a length as NRI packs them.
func packed(ptr, size int) []byte { return constant(uint64(ptr)<<32 | uint64(size)) }

// command is a WASI command in the making: start is the code of _start, calls are
// the indices of what it imports.
type command struct {
	wasmtest.Builder
	calls  map[string]int
	locals []byte
}

// newCommand begins a command that imports some functions of WASI.
func newCommand() *command {
	c := &command{calls: map[string]int{}}
	i := func(n int) []byte { return wasmtest.Repeat(n, wasmtest.I32) }
	four := c.Type(i(4), i(1))
	for _, name := range []string{"fd_write", "fd_read", "poll_oneoff"} {
		c.calls[name] = c.ImportFunc("wasi_snapshot_preview1", name, four)
	}
	c.calls["random_get"] = c.ImportFunc("wasi_snapshot_preview1", "random_get", c.Type(i(2), i(1)))
	c.calls["clock_time_get"] = c.ImportFunc("wasi_snapshot_preview1", "clock_time_get", c.Type([]byte{wasmtest.I32, wasmtest.I64, wasmtest.I32}, i(1)))
	c.calls["proc_exit"] = c.ImportFunc("wasi_snapshot_preview1", "proc_exit", c.Type(i(1), nil))
	return c
}

// module gives the module whose _start is the code.
func (c *command) module(code ...any) []byte {
	c.Memory(2, -1)
	c.Export("_start", wasmtest.FunctionKind, c.Func(c.Type(nil, nil), c.locals, code...))
	return c.Bytes()
}

// write gives the code that writes some bytes of memory to a file. The list with the
// one part is at the address 16, the result goes to 32.
func (c *command) write(file, ptr, size int) []byte {
	return wasmtest.Cat(
		wasmtest.I32Const(16), wasmtest.I32Const(int32(ptr)), opI32Store, 2, 0,
		wasmtest.I32Const(20), wasmtest.I32Const(int32(size)), opI32Store, 2, 0,
		wasmtest.I32Const(int32(file)), wasmtest.I32Const(16), wasmtest.I32Const(1), wasmtest.I32Const(32),
		opCall, c.calls["fd_write"], opDrop)
}

// says gives a command that writes an answer to standard output.
func says(answer string) []byte {
	c := newCommand()
	c.Data(answerAt, []byte(answer))
	return c.module(c.write(1, answerAt, len(answer)))
}

// forever gives the code that does something again and again.
func forever(code ...any) []byte {
	return wasmtest.Cat(opLoop, void, wasmtest.Cat(code...), opBranch, 0, opEnd)
}

// file writes a module to a file.
func file(tb testing.TB, module []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "policy.wasm")
	if err := os.WriteFile(path, module, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// load loads one module, with what the configuration has besides name and path.
func load(tb testing.TB, module []byte, c wasm.Config) (*wasm.Program, error) {
	tb.Helper()
	c.Name, c.Path = "policy", file(tb, module)
	return wasm.Load(tb.Context(), []wasm.Config{c}, wasm.Options{})
}

func mustLoad(tb testing.TB, module []byte, c wasm.Config) *wasm.Program {
	tb.Helper()
	p, err := load(tb, module, c)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// failure judges and returns the message of the failure, "" for none.
func failure(p *wasm.Program, r *engine.Review) string {
	v := p.Judge(context.Background(), r)
	if len(v.Failures) == 0 {
		return ""
	}
	return v.Failures[0].Message
}

// middling is a review whose request has 104 bytes.
func middling() *engine.Review {
	return reviewOf(&api.ValidateContainerAdjustmentRequest{Container: &api.Container{Id: strings.Repeat("c", 100)}})
}

// constant gives the instruction of any i64.
func constant(v uint64) []byte { return wasmtest.I64Const(int64(v)) }
