package meter

// A unit of fuel stands for at most about three nanoseconds on the machine code that wazero makes: 10 million of them for 30 ms, whatever the
// mix of instructions. The weights are what the slowest use of an instruction was measured to take: divisions at their latency, floating
// point with subnormal numbers, calls that miss the instruction cache, loads that miss the data cache.

// weight is what an instruction costs, in fuel.
func (m *Module) weight(in *instruction) uint64 {
	switch in.op >> 8 {
	case prefixMisc:
		return miscWeight(in.op)
	case prefixSIMD:
		return m.simdWeight(in.op)
	}
	switch op := in.op; {
	case op == opEnd, op == opElse, op == opBlock, op == opLoop, op == opNop:
		return 0
	case op == opCall:
		return 16 + m.callWeight(in)
	case op == opCallIndirect:
		return 24 + m.callWeight(in)
	case op == opBrTable:
		return 8
	case op == opTableGet, op == opTableSet, op == opRefFunc: // which becomes a table.get
		return 6
	case op >= opFirstLoad && op <= opLastLoad:
		return m.loadWeight()
	case op >= opFirstStore && op <= opLastStore:
		return 4
	case op == opMemoryGrow:
		return 200
	}
	return numericWeight(in.op)
}

// numericWeight is that of arithmetic.
func numericWeight(op opcode) uint64 {
	switch {
	case op >= 0x6d && op <= 0x70: // i32 division and remainder
		return 8
	case op >= 0x7f && op <= 0x82: // i64 division and remainder
		return 12
	case op == 0x91, op == 0x94, op == 0x95, op == 0x9f, op == 0xa2, op == 0xa3: // square root, product, quotient
		return 12
	case op >= 0xa8 && op <= 0xab, op >= 0xae && op <= 0xb1: // truncation to an integer
		return 4
	case op >= 0xb2 && op <= 0xbb: // conversion to floating point
		return 3
	case op >= 0x8b && op <= 0xa6: // the other floating point
		return 2
	}
	return 1
}

func miscWeight(op opcode) uint64 {
	switch op {
	case opMemoryFill:
		return 40
	case opMemoryInit, opMemoryCopy, opTableInit, opTableCopy, opTableFill:
		return 12
	case opTableGrow:
		return 200
	}
	return 4
}

func (m *Module) simdWeight(op opcode) uint64 {
	switch immediateOf(op) {
	case immAccess, immAccessLane:
		return m.loadWeight()
	}
	switch n := op & 0xff; {
	case n >= 0xe0: // floating point
		return 12
	case n == 0x62, n == 0xcc: // i8x16.popcnt, i64x2.shr_s
		return 4
	}
	return 2
}

// loadWeight depends on how much of the memory the caches of a processor hold. It is that of a load whose address is what the load before
// it gave.
func (m *Module) loadWeight() uint64 {
	var pages uint32
	for _, s := range m.Memories {
		pages = max(pages, s.Max)
	}
	switch {
	case pages <= 8:
		return 4
	case pages <= 128:
		return 16
	case pages <= 256:
		return 32
	}
	return 64
}

// callWeight is for passing parameters and results.
func (m *Module) callWeight(in *instruction) uint64 {
	t := m.types[m.callee(in)]
	return uint64(t.params + t.results)
}

// entryWeight is what it costs to enter a function.
func entryWeight(fn function) uint64 { return 4 + uint64(fn.locals)/4 }

// mergeWeight is what it costs to come to a place where branches meet: the locals that have changed and the values that the branch carries
// are moved to where code behind the place expects them.
func mergeWeight(fn function, values int) uint64 {
	return uint64(min(fn.locals, fn.sets)+values) / 4
}

// lengthWeight is what an instruction costs for its length: unit for each, or for each 1<<shift of them. A unit of 0 is for instructions
// that have no length.
func lengthWeight(op opcode) (unit, shift int64) {
	switch op {
	case opMemoryInit, opMemoryCopy, opMemoryFill:
		return 1, 4
	case opTableInit, opTableCopy, opTableFill, opTableGrow:
		return 1, 0
	case opMemoryGrow:
		return 20_000, 0 // zeroed when it is first touched, and the memory copied each time, by page where it grows so
	}
	return 0, 0
}
