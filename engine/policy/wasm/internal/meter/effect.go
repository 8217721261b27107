package meter

// traps tells whether an instruction may end everything, besides unreachable and calls.
func traps(op opcode) bool {
	switch immediateOf(op) {
	case immAccess, immAccessLane:
		return true
	}
	switch op {
	case opTableGet, opTableSet, opTableInit, opTableCopy, opTableFill, opMemoryInit, opMemoryCopy, opMemoryFill:
		return true
	}
	return op >= 0x6d && op <= 0x70 || op >= 0x7f && op <= 0x82 || // division and remainder
		op >= 0xa8 && op <= 0xab || op >= 0xae && op <= 0xb1 // truncation to an integer
}

// nests tells whether what is called may call in turn: only then does anybody look how deep the stack is.
func (m *Module) nests(call *instruction) bool {
	if call.op == opCallIndirect {
		return true
	}
	own := int(call.index) - m.imported
	return own >= 0 && m.functions[own].calls
}
