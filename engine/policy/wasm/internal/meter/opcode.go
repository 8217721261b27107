package meter

import "fmt"

// An opcode is an instruction's code; those behind a prefix byte have it in the high half.
type opcode uint16

const (
	opUnreachable  opcode = 0x00
	opNop          opcode = 0x01
	opBlock        opcode = 0x02
	opLoop         opcode = 0x03
	opIf           opcode = 0x04
	opElse         opcode = 0x05
	opEnd          opcode = 0x0b
	opBr           opcode = 0x0c
	opBrIf         opcode = 0x0d
	opBrTable      opcode = 0x0e
	opReturn       opcode = 0x0f
	opCall         opcode = 0x10
	opCallIndirect opcode = 0x11
	opDrop         opcode = 0x1a
	opSelect       opcode = 0x1b
	opSelectTyped  opcode = 0x1c
	opLocalGet     opcode = 0x20
	opLocalSet     opcode = 0x21
	opLocalTee     opcode = 0x22
	opGlobalGet    opcode = 0x23
	opGlobalSet    opcode = 0x24
	opTableGet     opcode = 0x25
	opTableSet     opcode = 0x26
	opFirstLoad    opcode = 0x28
	opLastLoad     opcode = 0x35
	opFirstStore   opcode = 0x36
	opLastStore    opcode = 0x3e
	opMemorySize   opcode = 0x3f
	opMemoryGrow   opcode = 0x40
	opI32Const     opcode = 0x41
	opI64Const     opcode = 0x42
	opF32Const     opcode = 0x43
	opF64Const     opcode = 0x44
	opI32GtU       opcode = 0x4b
	opI64LtS       opcode = 0x53
	opI32Add       opcode = 0x6a
	opI64Add       opcode = 0x7c
	opI64Sub       opcode = 0x7d
	opI64Mul       opcode = 0x7e
	opI64ShrU      opcode = 0x88
	opI64ExtendU   opcode = 0xad
	opRefNull      opcode = 0xd0
	opRefFunc      opcode = 0xd2
	opMemoryInit   opcode = 0xfc08
	opDataDrop     opcode = 0xfc09
	opMemoryCopy   opcode = 0xfc0a
	opMemoryFill   opcode = 0xfc0b
	opTableInit    opcode = 0xfc0c
	opElemDrop     opcode = 0xfc0d
	opTableCopy    opcode = 0xfc0e
	opTableGrow    opcode = 0xfc0f
	opTableSize    opcode = 0xfc10
	opTableFill    opcode = 0xfc11
	opV128Const    opcode = 0xfd0c
)

const (
	prefixMisc = 0xfc
	prefixSIMD = 0xfd
)

// immediate says what follows an opcode.
type immediate uint8

const (
	immUnknown immediate = iota // not an instruction of WebAssembly 2.0
	immNone
	immBlockType
	immLabel
	immLabels
	immFunction
	immCallIndirect
	immTypes // of select
	immLocal
	immGlobal
	immTable
	immTables // two
	immTableInit
	immElement
	immMemory // a memory index
	immMemories
	immMemoryInit
	immData
	immAccess // alignment and offset
	immAccessLane
	immLane
	immI32
	immI64
	immF32
	immF64
	immV128
	immShuffle
	immRefType
)

// immediateOf tells what follows the opcode in WebAssembly 2.0.
func immediateOf(op opcode) immediate {
	switch op >> 8 {
	case prefixMisc:
		return miscImmediate(op)
	case prefixSIMD:
		return simdImmediate(op)
	}
	switch {
	case op <= opNop, op == opElse, op == opEnd, op == opReturn, op == opDrop, op == opSelect:
		return immNone
	case op >= 0x45 && op <= 0xc4, op == 0xd1:
		return immNone
	case op >= opFirstLoad && op <= opLastStore:
		return immAccess
	case op == opBlock, op == opLoop, op == opIf:
		return immBlockType
	case op == opBr, op == opBrIf:
		return immLabel
	}
	return plainImmediate(op)
}

// plainImmediate tells it of the opcodes that have an immediate of their own kind.
func plainImmediate(op opcode) immediate {
	switch op {
	case opBrTable:
		return immLabels
	case opCall, opRefFunc:
		return immFunction
	case opCallIndirect:
		return immCallIndirect
	case opSelectTyped:
		return immTypes
	case opLocalGet, opLocalSet, opLocalTee:
		return immLocal
	case opGlobalGet, opGlobalSet:
		return immGlobal
	case opTableGet, opTableSet:
		return immTable
	case opMemorySize, opMemoryGrow:
		return immMemory
	case opI32Const:
		return immI32
	case opI64Const:
		return immI64
	case opF32Const:
		return immF32
	case opF64Const:
		return immF64
	case opRefNull:
		return immRefType
	}
	return immUnknown
}

func miscImmediate(op opcode) immediate {
	switch op {
	case opMemoryInit:
		return immMemoryInit
	case opDataDrop:
		return immData
	case opMemoryCopy:
		return immMemories
	case opMemoryFill:
		return immMemory
	case opTableInit:
		return immTableInit
	case opElemDrop:
		return immElement
	case opTableCopy:
		return immTables
	case opTableGrow, opTableSize, opTableFill:
		return immTable
	}
	if op <= 0xfc07 {
		return immNone // saturating truncation
	}
	return immUnknown
}

func simdImmediate(op opcode) immediate {
	switch n := op & 0xff; {
	case n <= 0x0b, n == 0x5c, n == 0x5d:
		return immAccess
	case n == 0x0c:
		return immV128
	case n == 0x0d:
		return immShuffle
	case n >= 0x15 && n <= 0x22:
		return immLane
	case n >= 0x54 && n <= 0x5b:
		return immAccessLane
	case n == 0x9a, n == 0xa2, n == 0xa5, n == 0xa6, n == 0xaf, n == 0xb0, n == 0xb2, n == 0xb3, n == 0xb4, n == 0xbb, n == 0xc2,
		n == 0xc5, n == 0xc6, n == 0xcf, n == 0xd0, n == 0xd2, n == 0xd3, n == 0xd4, n == 0xe2, n == 0xee:
		return immUnknown // gaps in the numbering
	}
	return immNone
}

// unknownName names an instruction that WebAssembly 2.0 does not have, and the proposal that it belongs to.
func unknownName(op opcode) string {
	switch {
	case op >= 0x06 && op <= 0x0a, op == 0x18, op == 0x19, op == 0x1f:
		return fmt.Sprintf("instruction %#02x of exception handling", op)
	case op == 0x12, op == 0x13:
		return fmt.Sprintf("instruction %#02x of tail calls", op)
	case op == 0x14, op == 0x15, op >= 0xd3 && op <= 0xd6:
		return fmt.Sprintf("instruction %#02x of typed function references", op)
	case op == 0xfb:
		return "instruction 0xfb of garbage collection"
	case op == 0xfe:
		return "instruction 0xfe of threads"
	}
	return fmt.Sprintf("instruction %#02x", op)
}
