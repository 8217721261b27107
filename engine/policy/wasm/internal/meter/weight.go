package meter

// weight is what an instruction costs, in fuel. One unit stands for about three nanoseconds at most.
func (m *Module) weight(in *instruction) uint64 {
	switch op := in.op; {
	case op == opEnd, op == opElse, op == opBlock, op == opLoop, op == 0x01:
		return 0
	case op == opCall:
		return 8 + m.callWeight(m.funcs[in.index])
	case op == opCallIndirect:
		return 12 + m.callWeight(in.index)
	case op == opBrTable:
		return 4
	case op == opMemoryGrow, op == opTableGrow:
		return 200
	case op >= 0x28 && op <= 0x3e:
		return 2
	case op >= 0x6d && op <= 0x70, op >= 0x7f && op <= 0x82: // integer division
		return 8
	case op == 0x91, op == 0x95, op == 0x9f, op == 0xa3: // square root, division
		return 5
	}
	return 1
}

func (m *Module) callWeight(typ uint32) uint64 {
	t := m.types[typ]
	return uint64(t.params + t.results)
}

// entryWeight is what it costs to enter a function.
func entryWeight(fn function) uint64 { return 1 + uint64(fn.locals)/4 }

// lengthWeight is what an instruction costs for its length: unit for each, or for each 1<<shift of them. A unit of 0 is for instructions
// that have no length.
func lengthWeight(op opcode) (unit, shift int64) {
	switch op {
	case opMemoryInit, opMemoryCopy, opMemoryFill:
		return 1, 4
	case opTableInit, opTableCopy, opTableFill, opTableGrow:
		return 1, 0
	case opMemoryGrow:
		return 5_000, 0
	}
	return 0, 0
}
