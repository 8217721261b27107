package meter

// What loading takes, in nanoseconds of processor time with wazero's compiler: decoding, validating, metering and compiling together. Each
// price is what the shapes that are worst for it were measured to take; the sum for real guests is a tenth above what they take. The
// compiler finds dominators and loops by walking up chains of blocks, looks locals up by walking up the same chains, makes parameters of
// blocks out of locals, removes redundant ones in one pass for each level of loops, and writes bulk operations as loops in place.
const (
	costType     = 13_000 // of functions
	costTyped    = 320    // a parameter or result of a type
	costSegment  = 400    // of data, or an element
	costFunction = 14_000
	costLocal    = 600
	costGlobal   = 60 // a global, in each function

	costPlain    = 360   // an instruction
	costSpill    = 250   // the same, where more values lie on the operand stack than there is any place for but memory
	costMove     = 140   // a local, or a constant
	costCompare  = 520   // a comparison of integers, a count of bits, a shift, or an extension of a sign
	costFloat    = 1_500 // a comparison or an operation
	costSign     = 3_500 // of a floating point number, which takes a constant from memory: abs, neg
	costUnsigned = 6_000 // integer made a floating point number, by one way or another; copysign
	costExtreme  = 7_000 // min and max of floating point numbers, by several ways
	costSize     = 1_300 // of memory or a table
	costDead     = 800   // one that is not reached: not compiled, but metered
	costMutable  = 4_000
	costAccess   = 3_500 // of memory
	costFar      = 1_300 // the same, by an offset that takes long to write
	costTrap     = 3_300 // of a division or truncation
	costTruncate = 9_000 // to an unsigned integer
	costVector   = 15_000
	costTable    = 5_500 // an access of a table
	costRuntime  = 3_500 // a call of wazero's own
	costCall     = 6_000
	costIndirect = 15_000 // call_indirect
	costValue    = 280    // a parameter or result of a call
	costReload   = 85     // a mutable global, at each call: it may have changed
	costBulk     = 30_000 // memory.copy, memory.init, table.*
	costFill     = 75_000 // memory.fill

	costBlock     = 1_250
	costBranch    = 400
	costTarget    = 360 // of a br_table
	costSearch    = 1   // a step along the branches to one block, one for each pair of them
	costDepth     = 42  // a step up a chain of dominators
	costLookup    = 10  // a step up a chain of blocks, for a local
	costLine      = 80  // the same, for a global
	costParameter = 60  // a local that may have to become a parameter of a block
	costArgument  = 64  // a value for it, from each branch
	costLoop      = 300 // the same, in a loop, for each level of loops in the function
	costHeld      = 200 // a local where a block begins
	costLive      = 25  // a value of a local, a global or on the operand stack that is alive there, or at a target
	costKnown     = 7   // an address that is known there to lie in memory

	// What the compiler remembers of a function that costs more than this no longer fits the processor's caches: what is beyond costs so many
	// times more.
	cached       = 15_000_000
	costUncached = 3
)

// far is where offsets begin that hardly any guest has: beyond its data.
const far = 1 << 24

// manyValues are more than there are registers for, by far.
const manyValues = 256

// price is that of an instruction that takes operands from the stack only.
func price(op opcode) int {
	switch {
	case accesses(op):
		return costAccess
	case op == opTableGet, op == opTableSet:
		return costTable
	case op == opMemorySize, op == opTableSize, op == 0xd1: // and ref.is_null
		return costSize
	case op>>8 == prefixSIMD:
		return costVector
	case unsigned(op):
		return costTruncate
	case op>>8 == prefixMisc, traps(op):
		return costTrap
	case op == opLocalSet, op == opLocalTee, op >= opI32Const && op <= opF64Const:
		return costMove
	case op >= 0x45 && op < 0x5b, op >= 0x67 && op <= 0x69, op >= 0x79 && op <= 0x7b, op >= 0xc0 && op <= 0xc4,
		op >= 0x74 && op <= 0x78, op >= 0x86 && op <= 0x8a:
		return costCompare
	}
	return priceOfFloat(op)
}

// unsigned tells whether an instruction truncates to an unsigned integer, trapping or saturating.
func unsigned(op opcode) bool {
	switch op {
	case 0xa9, 0xab, 0xaf, 0xb1, prefixMisc<<8 | 1, prefixMisc<<8 | 3, prefixMisc<<8 | 5, prefixMisc<<8 | 7:
		return true
	}
	return false
}

// priceOfFloat is that of what is done with floating point numbers alone, and of all else.
func priceOfFloat(op opcode) int {
	switch op {
	case 0x8b, 0x8c, 0x99, 0x9a: // abs, neg
		return costSign
	case 0x98, 0xa6, 0xb5, 0xba: // copysign, convert_i64_u
		return costUnsigned
	case 0x96, 0x97, 0xa4, 0xa5: // min, max
		return costExtreme
	}
	if op >= 0x5b && op <= 0x66 || op >= 0x8b && op <= 0xa6 {
		return costFloat
	}
	return costPlain
}

// accesses tells whether an instruction reads or writes one value in memory.
func accesses(op opcode) bool {
	imm := immediateOf(op)
	return imm == immAccess || imm == immAccessLane
}
