// Package wasmtest assembles WebAssembly modules for tests: valid ones, and such as no toolchain would make.
package wasmtest

import "encoding/binary"

// The value types.
const (
	I32       = 0x7f
	I64       = 0x7e
	F32       = 0x7d
	F64       = 0x7c
	V128      = 0x7b
	FuncRef   = 0x70
	ExternRef = 0x6f
)

// The kinds of imports and exports.
const (
	FunctionKind = iota
	TableKind
	MemoryKind
	GlobalKind
)

// A Builder collects what a module consists of. Its zero value is the empty module. Imports have to come before what the module defines.
type Builder struct {
	types, imports, funcs, tables, memories, globals, exports, elements, codes, datas [][]byte

	imported  [4]int
	start     []byte
	dataCount bool
	custom    []byte
}

// Type adds a function type and gives its index.
func (b *Builder) Type(params, results []byte) int {
	b.types = append(b.types, Cat(0x60, Vec(params), Vec(results)))
	return len(b.types) - 1
}

func (b *Builder) imp(kind byte, module, name string, desc []byte) int {
	b.imports = append(b.imports, Cat(Vec([]byte(module)), Vec([]byte(name)), kind, desc))
	b.imported[kind]++
	return b.imported[kind] - 1
}

// ImportFunc imports a function of a type and gives its index.
func (b *Builder) ImportFunc(module, name string, typ int) int {
	return b.imp(FunctionKind, module, name, U(typ))
}

// ImportMemory imports a memory of at least min pages.
func (b *Builder) ImportMemory(module, name string, min int) {
	b.imp(MemoryKind, module, name, size(min, -1))
}

// ImportTable imports a table of functions.
func (b *Builder) ImportTable(module, name string, min int) {
	b.imp(TableKind, module, name, Cat(FuncRef, size(min, -1)))
}

// ImportGlobal imports an immutable global.
func (b *Builder) ImportGlobal(module, name string, typ byte) int {
	return b.imp(GlobalKind, module, name, []byte{typ, 0})
}

// Func adds a function and gives its index. Locals are value types; the code lacks nothing but the end.
func (b *Builder) Func(typ int, locals []byte, code ...any) int {
	groups := make([][]byte, len(locals))
	for i, l := range locals {
		groups[i] = Cat(1, l)
	}
	return b.Body(typ, Cat(Vecs(groups), Cat(code...), 0x0b))
}

// Body adds a function whose body, declarations of locals and end included, is given, and gives its index.
func (b *Builder) Body(typ int, body []byte) int {
	b.funcs = append(b.funcs, U(typ))
	b.codes = append(b.codes, Vec(body))
	return b.imported[FunctionKind] + len(b.funcs) - 1
}

// Table adds a table; max is -1 where there is none.
func (b *Builder) Table(typ byte, min, max int) int {
	b.tables = append(b.tables, Cat(typ, size(min, max)))
	return b.imported[TableKind] + len(b.tables) - 1
}

// Memory adds a memory in pages; max is -1 where there is none.
func (b *Builder) Memory(min, max int) { b.memories = append(b.memories, size(min, max)) }

// Global adds a global with the code of its initial value, without the end, and gives its index.
func (b *Builder) Global(typ byte, mutable bool, init ...any) int {
	m := byte(0)
	if mutable {
		m = 1
	}
	b.globals = append(b.globals, Cat(typ, m, Cat(init...), 0x0b))
	return b.imported[GlobalKind] + len(b.globals) - 1
}

// Export exports something.
func (b *Builder) Export(name string, kind byte, index int) {
	b.exports = append(b.exports, Cat(Vec([]byte(name)), kind, U(index)))
}

// Start sets the start function.
func (b *Builder) Start(f int) { b.start = U(f) }

// Elements fills table 0 with functions, from the offset on.
func (b *Builder) Elements(offset int, functions ...int) {
	list := make([][]byte, len(functions))
	for i, f := range functions {
		list[i] = U(f)
	}
	b.elements = append(b.elements, Cat(0, I32Const(int32(offset)), 0x0b, Vecs(list)))
}

// Element adds an element segment of raw bytes.
func (b *Builder) Element(raw ...any) { b.elements = append(b.elements, Cat(raw...)) }

// Data adds a passive data segment, or an active one if the offset is not negative.
func (b *Builder) Data(offset int, data []byte) {
	b.dataCount = true
	if offset < 0 {
		b.datas = append(b.datas, Cat(1, Vec(data)))
		return
	}
	b.datas = append(b.datas, Cat(0, I32Const(int32(offset)), 0x0b, Vec(data)))
}

// Custom adds a custom section at the end.
func (b *Builder) Custom(name string, content []byte) {
	b.custom = append(b.custom, Section(0, Cat(Vec([]byte(name)), content))...)
}

// Bytes gives the module.
func (b *Builder) Bytes() []byte {
	out := Preamble()
	add := func(id byte, entries [][]byte) {
		if len(entries) > 0 {
			out = append(out, Section(id, Vecs(entries))...)
		}
	}
	add(1, b.types)
	add(2, b.imports)
	add(3, b.funcs)
	add(4, b.tables)
	add(5, b.memories)
	add(6, b.globals)
	add(7, b.exports)
	if b.start != nil {
		out = append(out, Section(8, b.start)...)
	}
	add(9, b.elements)
	if b.dataCount {
		out = append(out, Section(12, U(len(b.datas)))...)
	}
	add(10, b.codes)
	add(11, b.datas)
	return append(out, b.custom...)
}

// Preamble gives the first eight bytes of a module.
func Preamble() []byte { return []byte{0, 'a', 's', 'm', 1, 0, 0, 0} }

// Section gives a section with its size.
func Section(id byte, content []byte) []byte { return Cat(id, Vec(content)) }

// Vec gives bytes with their length before them.
func Vec(content []byte) []byte { return append(U(len(content)), content...) }

// Vecs gives entries with their number before them.
func Vecs(entries [][]byte) []byte {
	out := U(len(entries))
	for _, e := range entries {
		out = append(out, e...)
	}
	return out
}

// U gives an unsigned LEB128 number.
func U(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

// S gives a signed LEB128 number.
func S(v int64) []byte {
	var out []byte
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if v == 0 && low&0x40 == 0 || v == -1 && low&0x40 != 0 {
			return append(out, low)
		}
		out = append(out, low|0x80)
	}
}

// I32Const and I64Const give the instructions of constants.
func I32Const(v int32) []byte { return Cat(0x41, S(int64(v))) }

// I64Const gives the instruction of a constant.
func I64Const(v int64) []byte { return Cat(0x42, S(v)) }

// Op gives an instruction with indices.
func Op(op byte, indices ...int) []byte {
	out := []byte{op}
	for _, i := range indices {
		out = append(out, U(i)...)
	}
	return out
}

// Repeat gives code n times.
func Repeat(n int, code ...any) []byte {
	one := Cat(code...)
	out := make([]byte, 0, n*len(one))
	for range n {
		out = append(out, one...)
	}
	return out
}

// Cat joins bytes: an int or a byte is one byte, a []byte or string is what it is.
func Cat(parts ...any) []byte {
	var out []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			out = append(out, byte(p))
		case byte:
			out = append(out, p)
		case []byte:
			out = append(out, p...)
		case string:
			out = append(out, p...)
		default:
			panic("wasmtest.Cat: an int, a byte, a []byte or a string is expected")
		}
	}
	return out
}

func size(min, max int) []byte {
	if max < 0 {
		return Cat(0, U(min))
	}
	return Cat(1, U(min), U(max))
}
