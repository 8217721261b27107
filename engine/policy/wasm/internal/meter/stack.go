package meter

// net is by how much an instruction changes the height of the operand stack. Control instructions, calls and whatever depends on a type are
// the walker's.
func net(op opcode) int {
	switch op >> 8 {
	case prefixMisc:
		return miscNet(op)
	case prefixSIMD:
		return simdNet(op)
	}
	switch {
	case op == opLocalGet, op == opGlobalGet, op == opMemorySize, op >= opI32Const && op <= opF64Const, op == opRefNull, op == opRefFunc:
		return 1
	case op == opDrop, op == opLocalSet, op == opGlobalSet, op == opIf, op == opBrIf, op == opBrTable:
		return -1
	case op == opSelect, op == opSelectTyped, op == opTableSet, op >= opFirstStore && op <= opLastStore:
		return -2
	}
	return numericNet(op)
}

// numericNet tells whether a numeric instruction has one operand or two; the result is one value.
func numericNet(op opcode) int {
	switch {
	case op >= 0x46 && op <= 0x66 && op != 0x50, // comparisons, but i64.eqz
		op >= 0x6a && op <= 0x78, op >= 0x7c && op <= 0x8a, // of integers
		op >= 0x92 && op <= 0x98, op >= 0xa0 && op <= 0xa6: // of floating point
		return -1
	}
	return 0
}

func miscNet(op opcode) int {
	switch op {
	case opMemoryInit, opMemoryCopy, opMemoryFill, opTableInit, opTableCopy, opTableFill:
		return -3
	case opTableGrow:
		return -1
	case opTableSize:
		return 1
	}
	return 0
}

// simdNet is net for vectors. There the numbering of operations on one operand has no order.
func simdNet(op opcode) int {
	switch n := op & 0xff; {
	case n == 0x0c: // constant
		return 1
	case n == 0x0b, n >= 0x58 && n <= 0x5b, n == 0x52: // stores, bitselect
		return -2
	case n <= 0x0a, n >= 0x0f && n <= 0x14, n == 0x5c, n == 0x5d: // loads, splats
		return 0
	case n >= 0x15 && n <= 0x22: // lanes
		return laneNet(n)
	case n == 0x4d, n == 0x53, n >= 0x5e && n <= 0x64, n >= 0x67 && n <= 0x6a, n == 0x74, n == 0x75, n == 0x7a,
		n >= 0x7c && n <= 0x81, n == 0x83, n == 0x84, n >= 0x87 && n <= 0x8a, n == 0x94,
		n == 0xa0, n == 0xa1, n == 0xa3, n == 0xa4, n >= 0xa7 && n <= 0xaa,
		n == 0xc0, n == 0xc1, n == 0xc3, n == 0xc4, n >= 0xc7 && n <= 0xca,
		n == 0xe0, n == 0xe1, n == 0xe3, n == 0xec, n == 0xed, n == 0xef, n >= 0xf8:
		return 0
	}
	return -1
}

// laneNet tells extract_lane, which has one operand, from replace_lane.
func laneNet(n opcode) int {
	switch n {
	case 0x17, 0x1a, 0x1c, 0x1e, 0x20, 0x22:
		return -1
	}
	return 0
}
