package meter

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode"

	wt "github.com/nri-guard/nri-guard/engine/policy/wasm/internal/wasmtest"
)

// body is a module with one function of so many locals.
func body(locals int, code ...any) []byte {
	var b wt.Builder
	typ := b.Type(nil, nil)
	b.Global(wt.I32, true, wt.I32Const(0))
	b.Body(typ, wt.Cat(1, wt.U(locals), wt.I32, wt.Cat(code...), end))
	return b.Bytes()
}

var global = []byte{0x23, 0}

// TestLimits holds each bound: a module at the bound passes, one beyond is refused with an error that names it.
func TestLimits(t *testing.T) {
	build := func(add func(b *wt.Builder)) []byte {
		var b wt.Builder
		add(&b)
		return b.Bytes()
	}
	repeat := func(n int, add func(b *wt.Builder, v int)) []byte {
		return build(func(b *wt.Builder) {
			v := b.Type(nil, nil)
			for range n {
				add(b, v)
			}
		})
	}
	branches := wt.Cat(global, 0x0e, 3, 0, 0, 0, 0)
	tested := map[string]bool{"stackBytes": true} // by TestDepth
	for _, test := range []struct {
		limit  Limits
		beyond int                // what is too much
		module func(n int) []byte // that needs a limit of n
		want   string
	}{
		{Limits{ModuleBytes: 100}, 101, func(n int) []byte { return build(func(b *wt.Builder) { b.Custom("", make([]byte, n-11)) }) },
			"the module has 101 bytes, more than the 100 that moduleBytes allows"},
		{Limits{Types: 3}, 4, func(n int) []byte { return repeat(n-1, func(b *wt.Builder, v int) { b.Type(nil, nil) }) },
			"the module has 4 types, more than the 3 that types allows"},
		{Limits{Parameters: 5}, 6, func(n int) []byte {
			return build(func(b *wt.Builder) { b.Type(make32(n-2), make32(2)) })
		}, "the module has 6 parameters and results of one type, more than the 5 that parameters allows"},
		{Limits{Imports: 3}, 4, func(n int) []byte { return repeat(n, func(b *wt.Builder, v int) { b.ImportFunc("a", "b", v) }) },
			"the module has 4 imports, more than the 3 that imports allows"},
		{Limits{Functions: 3}, 4, func(n int) []byte { return repeat(n, func(b *wt.Builder, v int) { b.Func(v, nil) }) },
			"the module has 4 functions, more than the 3 that functions allows"},
		{Limits{FunctionBytes: 50}, 51, func(n int) []byte { return body(0, wt.Repeat(n-4, 0x01)) },
			"function 0 has 51 bytes, more than the 50 that functionBytes allows"},
		{Limits{Locals: 50}, 51, func(n int) []byte { return body(n) },
			"function 0 has 51 locals, more than the 50 that locals allows"},
		{Limits{LocalsTimesBlocks: 60}, 70, func(n int) []byte { return body(10, wt.Repeat(n/10-1, 0x02, empty, end)) },
			"function 0 has 70 locals times blocks, more than the 60 that localsTimesBlocks allows"},
		{Limits{ModuleLocalsTimesBlocks: 60}, 70, func(n int) []byte {
			return repeat(n/10, func(b *wt.Builder, v int) { b.Body(v, wt.Cat(1, 10, wt.I32, end)) })
		}, "the module has 70 locals times blocks, more than the 60 that moduleLocalsTimesBlocks allows"},
		{Limits{Nesting: 8}, 9, func(n int) []byte { return body(0, wt.Repeat(n-1, 0x02, empty), wt.Repeat(n-1, end)) },
			"function 0 has 9 levels of nesting, more than the 8 that nesting allows"},
		{Limits{ModuleNesting: 8}, 9, func(n int) []byte {
			return repeat(n/3, func(b *wt.Builder, v int) {
				b.Func(v, nil, wt.Repeat(2, 0x02, empty), wt.Repeat(2, end), 0x02, empty, end)
			})
		}, "the module has 9 levels of nesting, more than the 8 that moduleNesting allows"},
		{Limits{BranchTargets: 8}, 12, func(n int) []byte { return body(0, wt.Repeat(n/4, 0x02, empty, branches, end)) },
			"function 0 has 12 br_table targets, more than the 8 that branchTargets allows"},
		{Limits{BranchTargets: 8}, 9, func(n int) []byte { return body(0, global, 0x0e, wt.U(n-1), make([]byte, n)) },
			"function 0 has 9 br_table targets, more than the 8 that branchTargets allows"},
		{Limits{ModuleBranchTargets: 8}, 12, func(n int) []byte {
			return repeat(n/4, func(b *wt.Builder, v int) { b.Func(v, nil, wt.I32Const(0), 0x0e, 3, 0, 0, 0, 0) })
		}, "the module has 12 br_table targets, more than the 8 that moduleBranchTargets allows"},
		{Limits{FunctionCost: 1_000}, 2_000, func(n int) []byte { return body(0, wt.Repeat(n/20, 0x02, empty, end)) },
			"microseconds of compilation, more than the 1000 that functionCost allows"},
		{Limits{CompileCost: 2_000}, 4_000, func(n int) []byte {
			return repeat(n/20, func(b *wt.Builder, v int) { b.Func(v, nil) })
		}, "microseconds of compilation, more than the 2000 that compileCost allows"},
		{Limits{Globals: 3}, 4, func(n int) []byte {
			return repeat(n, func(b *wt.Builder, v int) { b.Global(wt.I32, true, wt.I32Const(0)) })
		}, "the module has 4 globals, more than the 3 that globals allows"},
		{Limits{Exports: 3}, 4, func(n int) []byte { return exported(strings.Split("abcdefg", "")[:n]...) },
			"the module has 4 exports, more than the 3 that exports allows"},
		{Limits{Tables: 3}, 4, func(n int) []byte { return repeat(n, func(b *wt.Builder, v int) { b.Table(wt.FuncRef, 1, 1) }) },
			"the module has 4 tables, more than the 3 that tables allows"},
		{Limits{TableEntries: 3}, 4, func(n int) []byte { return build(func(b *wt.Builder) { b.Table(wt.FuncRef, n, -1) }) },
			"the module has 4 entries in a table, more than the 3 that tableEntries allows"},
		{Limits{TableEntries: 3}, 4, func(n int) []byte { return build(func(b *wt.Builder) { b.ImportTable("a", "b", n) }) },
			"the module has 4 entries in a table, more than the 3 that tableEntries allows"},
		{Limits{MemoryPages: 3}, 4, func(n int) []byte { return build(func(b *wt.Builder) { b.Memory(n, -1) }) },
			"the module has 4 pages of memory, more than the 3 that memoryPages allows"},
		{Limits{DataSegments: 3}, 4, func(n int) []byte { return repeat(n, func(b *wt.Builder, v int) { b.Data(-1, nil) }) },
			"the module has 4 data segments, more than the 3 that dataSegments allows"},
		{Limits{DataBytes: 30}, 31, func(n int) []byte { return repeat(3, func(b *wt.Builder, v int) { b.Data(-1, make([]byte, (n+2)/3)) }) },
			"the module has 33 bytes of data, more than the 30 that dataBytes allows"},
		{Limits{ElementSegments: 3}, 4, func(n int) []byte {
			return repeat(n, func(b *wt.Builder, v int) { b.Element(1, 0, 0) })
		}, "the module has 4 element segments, more than the 3 that elementSegments allows"},
		{Limits{Elements: 3}, 4, func(n int) []byte {
			return repeat(n, func(b *wt.Builder, v int) { b.Element(5, wt.FuncRef, 1, 0xd0, wt.FuncRef, end) })
		}, "the module has 4 elements, more than the 3 that elements allows"},
	} {
		name, bound := limitOf(test.limit)
		tested[name] = true
		t.Run(fmt.Sprint(name, bound), func(t *testing.T) {
			if _, err := Check(test.module(bound), test.limit); err != nil {
				t.Errorf("at the bound: %v", err)
			}
			_, err := Check(test.module(test.beyond), test.limit)
			var limit *LimitError
			if !errors.As(err, &limit) || limit.Limit != name {
				t.Fatalf("beyond the bound: %v", err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, expected %q", err, test.want)
			}
		})
	}
	for i := range reflect.TypeFor[Limits]().NumField() {
		if key := keyOf(i); !tested[key] {
			t.Errorf("%s has no test", key)
		}
	}
}

func make32(n int) []byte { return wt.Repeat(n, wt.I32) }

// limitOf gives the configuration key and value of the one limit that is set.
func limitOf(l Limits) (string, int) {
	v := reflect.ValueOf(l)
	for i := range v.NumField() {
		if n := v.Field(i).Int(); n != 0 {
			return keyOf(i), int(n)
		}
	}
	return "", 0
}

// keyOf is the configuration key of a field of Limits.
func keyOf(i int) string {
	name := []rune(reflect.TypeFor[Limits]().Field(i).Name)
	name[0] = unicode.ToLower(name[0])
	return string(name)
}

// TestExplosive holds that shapes that cost a compiler seconds to minutes and hundreds of megabytes are refused in no time.
func TestExplosive(t *testing.T) {
	each := func(n int, code func(i int) []byte) []byte {
		var out []byte
		for i := range n {
			out = append(out, code(i)...)
		}
		return out
	}
	zeroes := func(n int) []byte { return make([]byte, n) }
	for _, test := range []struct {
		name   string
		module []byte
		limit  string
	}{
		{"43 kB of locals and loops", body(2_000, each(2_000, func(i int) []byte { return wt.Cat(global, set(i)) }),
			wt.Repeat(4_000, 0x03, empty, global, 0x0d, 0, end), each(2_000, func(i int) []byte { return wt.Cat(get(i), 0x24, 0) })), "localsTimesBlocks"},
		{"50 kB of nested loops", body(1, wt.Repeat(1_900, 0x03, empty), wt.Repeat(1_900, global, 0x0d, 0, end),
			wt.Repeat(1_900, 0x03, empty), wt.Repeat(1_900, global, 0x0d, 0, end)), "functionCost"},
		{"one function of 250 kB", body(0, wt.Repeat(250_000, 0x01)), "functionBytes"},
		{"a br_table of 50 kB", body(0, global, 0x0e, wt.U(50_000), zeroes(50_001)), "branchTargets"},
		{"br_tables of 50 kB", body(0, wt.Repeat(14, 0x02, empty, global, 0x0e, wt.U(3_500), zeroes(3_501), end)), "branchTargets"},
		{"60 kB of memory.fill", bodyWithMemory(wt.Repeat(6_000, 0x23, 0, 0x23, 0, 0x23, 0, 0xfc, 11, 0)), "functionCost"},
		{"60 kB of branches", body(0, wt.Repeat(15_000, global, 0x0d, 0)), "functionCost"},
		{"values that are alive in all blocks", body(0, wt.Repeat(10_000, global), wt.Repeat(5_000, global, 0x0d, 0), wt.Repeat(10_000, drop)), "functionCost"},
		{"values below blocks", body(0, each(5_000, func(i int) []byte { return wt.Cat(global, wt.I32Const(int32(i)), 0x6a) }),
			wt.Repeat(1_000, global, 0x04, empty, end), wt.Repeat(5_000, drop)), "functionCost"},
		{"values at targets", body(0, wt.Repeat(5_000, global), wt.Repeat(10, 0x02, empty, global, 0x0e, wt.U(300), zeroes(301), end), wt.Repeat(5_000, drop)), "functionCost"},
		{"addresses below blocks", bodyWithMemory(wt.Cat(each(3_000, func(i int) []byte { return wt.Cat(global, wt.I32Const(int32(i)), 0x6a, 0x2d, 0, 0, drop) }),
			wt.Repeat(1_000, global, 0x0d, 0))), "functionCost"},
		{"depth that dead code hides", body(0, wt.Repeat(400, 0x02, empty, wt.Repeat(4, global, 0x0d, 1), 0x0c, 0,
			0x02, empty, 0x00, end, 0x0c, 0, end)), "functionCost"},
		{"40 kB of calls with 990 globals", manyGlobals(20_000), "functionCost"},
		{"padding", wt.Cat(manyLocals(2_000), wt.Section(0, make([]byte, 4<<20))), "compileCost"},
		{"10 kB of calls with 64 parameters and results", manyParameters(5_000), "functionCost"},
		{"locals in 10,000 functions", manyLocals(10_000), "compileCost"},
		{"dead code of 5 MB", manyDead(160), "compileCost"},
	} {
		_, err := Check(test.module, Limits{})
		var limit *LimitError
		if !errors.As(err, &limit) || limit.Limit != test.limit {
			t.Errorf("%s, %d bytes: %v, expected %s", test.name, len(test.module), err, test.limit)
		}
	}
}

func bodyWithMemory(code []byte) []byte {
	var b wt.Builder
	b.Memory(1, 1)
	b.Global(wt.I32, true, wt.I32Const(0))
	b.Func(b.Type(nil, nil), nil, code)
	return b.Bytes()
}

func manyParameters(n int) []byte {
	var b wt.Builder
	typ := b.Type(make32(32), make32(32))
	b.Func(typ, nil, wt.Repeat(32, get(0)), wt.Repeat(n, 0x10, 0))
	return b.Bytes()
}

func manyGlobals(calls int) []byte {
	var b wt.Builder
	typ := b.Type(nil, nil)
	for range 990 {
		b.Global(wt.I32, true, wt.I32Const(0))
	}
	b.Func(typ, nil, wt.Repeat(calls, 0x10, 0))
	return b.Bytes()
}

func manyLocals(n int) []byte {
	var b wt.Builder
	typ := b.Type(nil, nil)
	for range n {
		b.Body(typ, wt.Cat(1, wt.U(2_000), wt.I32, end))
	}
	return b.Bytes()
}

func manyDead(n int) []byte {
	var b wt.Builder
	typ := b.Type(nil, nil)
	for range n {
		b.Func(typ, nil, wt.Repeat(30_000, 0x00))
	}
	return b.Bytes()
}
