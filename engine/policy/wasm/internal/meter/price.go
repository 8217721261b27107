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

	costPlain    = 360 // an instruction
	costMove     = 140 // a local, or a constant
	costCompare  = 520 // a comparison, a count of bits, or an extension of a sign
	costFloat    = 1_150
	costDead     = 800 // one that is not reached: not compiled, but metered
	costMutable  = 4_000
	costAccess   = 3_500 // of memory
	costTrap     = 3_300 // of a division or truncation
	costVector   = 4_700
	costTable    = 2_700 // an access of a table
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

// price is that of an instruction that takes operands from the stack only.
func price(op opcode) int {
	switch {
	case accesses(op):
		return costAccess
	case op == opTableGet, op == opTableSet:
		return costTable
	case op>>8 == prefixSIMD:
		return costVector
	case op>>8 == prefixMisc, traps(op):
		return costTrap
	case op == opLocalSet, op == opLocalTee, op >= opI32Const && op <= opF64Const:
		return costMove
	case op >= 0x45 && op <= 0x69, op >= 0x79 && op <= 0x7b, op >= 0xc0 && op <= 0xc4:
		return costCompare
	case op >= 0x8b && op <= 0xa6:
		return costFloat
	}
	return costPlain
}

// accesses tells whether an instruction reads or writes one value in memory.
func accesses(op opcode) bool {
	imm := immediateOf(op)
	return imm == immAccess || imm == immAccessLane
}
