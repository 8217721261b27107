package meter

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	wt "github.com/nri-guard/nri-guard/engine/policy/wasm/internal/wasmtest"
)

// TestNoModule holds what files that are no modules are called.
func TestNoModule(t *testing.T) {
	valid := module(nil, nil)
	for _, test := range []struct {
		name string
		file []byte
		want error
	}{
		{"empty", nil, ErrNoModule},
		{"text format", []byte("(module)"), ErrNoModule},
		{"a program", []byte("\x7fELF\x02\x01\x01"), ErrNoModule},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), ErrComponent},
		{"another version", []byte("\x00asm\x02\x00\x00\x00"), ErrNoModule},
		{"three bytes", valid[:3], ErrTruncated},
		{"the preamble alone but one byte", valid[:7], ErrTruncated},
		{"a section's id", valid[:9], ErrTruncated},
		{"all but a byte", valid[:len(valid)-1], ErrTruncated},
	} {
		if _, err := Check(test.file, Limits{}); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, expected %v", test.name, err, test.want)
		}
	}
	for n := range valid {
		if _, err := Check(valid[:n], Limits{}); err == nil && n != 8 {
			// Where a section ends, what is left may still be a module that lacks something.
			if m, err := Check(valid[:n], Limits{}); err != nil || len(m.functions) > 0 {
				t.Errorf("the first %d bytes of %d are accepted", n, len(valid))
			}
		}
	}
}

// TestMalformed holds the reasons why modules are refused.
func TestMalformed(t *testing.T) {
	section := func(parts ...any) []byte { return wt.Cat(wt.Preamble(), wt.Cat(parts...)) }
	types := wt.Section(1, wt.Cat(1, 0x60, 0, 0))
	declared := wt.Section(3, []byte{1, 0})
	for _, test := range []struct {
		name string
		file []byte
		want string
	}{
		{"unknown section", section(wt.Section(99, nil)), "offset 0x8: unknown section 99"},
		{"section of exception handling", section(wt.Section(13, nil)), "section 13 of exception handling"},
		{"twice", section(types, types), "offset 0xe: section 1 stands twice"},
		{"out of order", section(wt.Section(5, []byte{0}), types), "offset 0xb: section 1 is out of order"},
		{"data count behind the code", section(wt.Section(10, []byte{0}), wt.Section(12, []byte{0})), "section 12 is out of order"},
		{"left over", section(wt.Section(1, []byte{0, 0})), "offset 0xb: section 1 has content left over"},
		{"too little", section(1, 2, 1, 0x60, wt.Section(5, []byte{0})), "the content is longer than the size says"},
		{"count of entries", section(wt.Section(1, []byte{0xff, 0xff, 0xff, 0xff, 0x0f})), "4294967295 entries in 0 bytes"},
		{"overlong number", section(1, 0x80, 0x80, 0x80, 0x80, 0x80, 0), "integer representation too long"},
		{"large number", section(1, 0xff, 0xff, 0xff, 0xff, 0x1f), "integer too large"},
		{"type", section(wt.Section(1, []byte{1, 0x5f})), "unknown form of type 0x5f"},
		{"value type", section(wt.Section(1, []byte{1, 0x60, 1, 0x6e, 0})), "unknown value type 0x6e"},
		{"name", section(wt.Section(2, []byte{1, 1, 0xff, 0, 0, 0})), "malformed UTF-8"},
		{"name of a custom section", section(wt.Section(0, []byte{1, 0xff})), "malformed UTF-8"},
		{"import of a tag", section(wt.Section(2, []byte{1, 0, 0, 4})), "unknown kind of import 0x04"},
		{"import of an unknown type", section(wt.Section(2, []byte{1, 0, 0, 0, 0})), "unknown type 0, there are 0"},
		{"mutability", section(wt.Section(2, []byte{1, 0, 0, 3, 0x7f, 2})), "malformed mutability 0x02"},
		{"function of an unknown type", section(declared), "unknown type 0, there are 0"},
		{"function without code", section(types, declared), "1 functions are declared, 0 are defined"},
		{"code without function", section(types, wt.Section(10, []byte{1, 2, 0, 0x0b})), "0 functions are declared, 1 are defined"},
		{"shared memory", section(wt.Section(5, []byte{1, 3, 1, 1})), "shared memory is of threads"},
		{"memory of 64 bits", section(wt.Section(5, []byte{1, 4, 1})), "memory64 is not part of WebAssembly 2.0"},
		{"two memories", section(wt.Section(5, []byte{2, 0, 1, 0, 1})), "2 memories: multi-memory is not part"},
		{"memory upside down", section(wt.Section(5, []byte{1, 1, 2, 1})), "minimum 2 is greater than the maximum 1"},
		{"limits flags", section(wt.Section(5, []byte{1, 8, 1})), "malformed limits flags 0x08"},
		{"extended constant", section(wt.Section(6, wt.Cat(1, wt.I32, 0, wt.I32Const(1), wt.I32Const(1), 0x6a, end))), "extended constant expressions"},
		{"no constant", section(wt.Section(6, wt.Cat(1, wt.I32, 0, 0x00, end))), "constant expression required, not instruction 0x00"},
		{"export twice", exported("a", "a"), `duplicate export name "a"`},
		{"start function", section(wt.Section(8, []byte{0})), "unknown function 0, there are 0"},
		{"elements for no table", section(wt.Section(9, wt.Cat(1, 0, wt.I32Const(0), end, 0))), "unknown table 0, there are 0"},
		{"elements for the table of references", section(wt.Section(4, []byte{1, wt.FuncRef, 0, 1}), wt.Section(9, wt.Cat(1, 2, 1, wt.I32Const(0), end, 0, 0))), "unknown table 1, there are 1"},
		{"exporting the counter of fuel", section(wt.Section(6, wt.Cat(1, wt.I32, 0, wt.I32Const(1), end)), wt.Section(7, wt.Cat(1, 1, "a", 3, 1))), "unknown global 1, there are 1"},
		{"exporting the table of references", section(wt.Section(4, []byte{1, wt.FuncRef, 0, 1}), wt.Section(7, wt.Cat(1, 1, "a", 1, 1))), "unknown table 1, there are 1"},
		{"element flags", section(wt.Section(9, []byte{1, 8})), "malformed flags 0x8 of an element segment"},
		{"data for no memory", section(wt.Section(11, wt.Cat(1, 0, wt.I32Const(0), end, 0))), "unknown memory 0"},
		{"data that is announced", section(wt.Section(12, []byte{3})), "3 data segments are announced, none is there"},
		{"data that is not announced", section(wt.Section(12, []byte{3}), wt.Section(11, []byte{0})), "0 data segments, 3 were announced"},
	} {
		t.Run(test.name, func(t *testing.T) { refused(t, test.file, test.want) })
	}
}

func exported(names ...string) []byte {
	var b wt.Builder
	f := b.Func(b.Type(nil, nil), nil)
	for _, n := range names {
		b.Export(n, wt.FunctionKind, f)
	}
	return b.Bytes()
}

func refused(t *testing.T, file []byte, want string) {
	t.Helper()
	if _, err := Check(file, Limits{}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, expected %q", err, want)
	}
}

// TestInstructions holds the reasons why functions are refused.
func TestInstructions(t *testing.T) {
	for _, test := range []struct {
		name string
		code []byte
		want string
	}{
		{"atomics", []byte{0xfe, 0x03, 0}, "instruction 0xfe of threads"},
		{"tail call", []byte{0x12, 0}, "instruction 0x12 of tail calls"},
		{"indirect tail call", []byte{0x13, 0, 0}, "instruction 0x13 of tail calls"},
		{"try", []byte{0x06, empty}, "instruction 0x06 of exception handling"},
		{"throw", []byte{0x08, 0}, "instruction 0x08 of exception handling"},
		{"try_table", []byte{0x1f, empty, 0}, "instruction 0x1f of exception handling"},
		{"call_ref", []byte{0x14, 0}, "instruction 0x14 of typed function references"},
		{"struct.new", []byte{0xfb, 0, 0}, "instruction 0xfb of garbage collection"},
		{"relaxed vectors", []byte{0xfd, 0x80, 0x02}, "unknown instruction 0xfd 0x100"},
		{"a gap among vectors", []byte{0xfd, 0x9a, 0x01}, "unknown instruction 0xfd9a"},
		{"memory.discard", []byte{0xfc, 18, 0}, "unknown instruction 0xfc12"},
		{"nothing", []byte{0xff}, "unknown instruction 0xff"},
		{"local", get(1), "unknown local 1, there are 1"},
		{"the counter of fuel", []byte{0x23, 1}, "unknown global 1, there are 1"},
		{"the counter of depth", []byte{0x23, 2}, "unknown global 2, there are 1"},
		{"setting the counter of fuel", wt.Cat(wt.I64Const(1<<62), 0x24, 1), "unknown global 1, there are 1"},
		{"setting the counter of depth", wt.Cat(wt.I32Const(0), 0x24, 2), "unknown global 2, there are 1"},
		{"the local of fuel", wt.Cat(wt.I64Const(1<<62), set(1)), "unknown local 1, there are 1"},
		{"the table of references", wt.Cat(0xd2, 0, drop, wt.I32Const(0), 0x25, 1), "unknown table 1, there are 1"},
		{"setting in it", wt.Cat(wt.I32Const(0), 0xd0, 0x70, 0x26, 1), "unknown table 1, there are 1"},
		{"growing it", wt.Cat(0xd0, 0x70, wt.I32Const(1), 0xfc, 15, 1), "unknown table 1, there are 1"},
		{"filling it", wt.Cat(wt.I32Const(0), 0xd0, 0x70, wt.I32Const(1), 0xfc, 17, 1), "unknown table 1, there are 1"},
		{"copying to it", wt.Cat(wt.I32Const(0), wt.I32Const(0), wt.I32Const(1), 0xfc, 14, 1, 0), "unknown table 1, there are 1"},
		{"initialising it", wt.Cat(wt.I32Const(0), wt.I32Const(0), wt.I32Const(1), 0xfc, 12, 0, 1), "unknown table 1, there are 1"},
		{"function", []byte{0x10, 2}, "unknown function 2, there are 2"},
		{"type", []byte{0x11, 9, 0}, "unknown type 9, there are 2"},
		{"table", []byte{0x11, 0, 1}, "unknown table 1, there are 1"},
		{"label", []byte{0x0c, 1}, "unknown label 1, there are 1"},
		{"label of a table", []byte{0x0e, 1, 0, 7}, "unknown label 7, there are 1"},
		{"data segment", wt.Cat(0xfc, 9, 1), "unknown data segment 1, there are 1"},
		{"element segment", wt.Cat(0xfc, 13, 1), "unknown element segment 1, there are 1"},
		{"block type", []byte{0x02, 0x41}, "unknown block type"},
		{"block of an unknown type", []byte{0x02, 5}, "unknown type 5, there are 2"},
		{"second memory", []byte{0x3f, 1}, "multi-memory is not part of WebAssembly 2.0"},
		{"load from a second memory", []byte{0x28, 0x40, 1, 0}, "malformed alignment 0x40"},
		{"else alone", []byte{0x05}, "else without if"},
		{"else twice", wt.Cat(0x04, empty, 0x05, 0x05, end), "else without if"},
		{"an end too many", []byte{end}, "code behind the end of the function"},
		{"an end too few", []byte{0x02, empty}, "the content is longer than the size says"},
	} {
		t.Run(test.name, func(t *testing.T) { refused(t, module(nil, nil, test.code), test.want) })
	}
}

// TestDescription holds what a module tells about itself.
func TestDescription(t *testing.T) {
	var b wt.Builder
	typ := b.Type([]byte{wt.I32, wt.F64}, []byte{wt.I64})
	b.ImportFunc("env", "log", typ)
	b.ImportMemory("env", "memory", 1)
	b.ImportGlobal("env", "base", wt.I32)
	b.Table(wt.FuncRef, 3, -1)
	b.Export("log", wt.FunctionKind, 0)
	b.Export("memory", wt.MemoryKind, 0)
	m, err := Check(b.Bytes(), Limits{TableEntries: 7})
	if err != nil {
		t.Fatal(err)
	}
	params, results := []byte{wt.I32, wt.F64}, []byte{wt.I64}
	imports := []Import{
		{Module: "env", Name: "log", Kind: Function, Params: params, Results: results},
		{Module: "env", Name: "memory", Kind: Memory},
		{Module: "env", Name: "base", Kind: Global},
	}
	if !reflect.DeepEqual(m.Imports, imports) {
		t.Errorf("imports %+v", m.Imports)
	}
	exports := []Export{{Name: "log", Kind: Function, Params: params, Results: results}, {Name: "memory", Kind: Memory}}
	if !reflect.DeepEqual(m.Exports, exports) {
		t.Errorf("exports %+v", m.Exports)
	}
	if !reflect.DeepEqual(m.Tables, []Size{{Min: 3, Max: 7}}) || m.Memories != nil || m.HasStart {
		t.Errorf("tables %v, memories %v, start %v", m.Tables, m.Memories, m.HasStart)
	}
}
