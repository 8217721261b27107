package meter

import "math"

// What compiling a function costs, in nanoseconds as measured with wazero's compiler on the shapes that are worst for it; real guests take
// about half of it. The compiler finds dominators and loops by walking up chains of blocks, looks locals up by walking up the same chains,
// makes parameters of blocks out of locals, removes redundant ones in one pass for each level of loops, and writes bulk operations as loops
// in place. What makes it allocate much costs as much more as keeps one function within about 150 MiB.
const (
	costFunction  = 10_000
	costLocal     = 2_000
	costPlain     = 300     // an instruction
	costAccess    = 4_000   // of memory or a table, 3 kB each
	costTrap      = 20_000  // of a division or truncation, up to 10 kB each
	costCall      = 6_000   // direct
	costIndirect  = 32_000  // call_indirect
	costRuntime   = 8_000   // a call of wazero's own
	costBulk      = 60_000  // memory.copy, memory.init, table.*
	costFill      = 300_000 // memory.fill
	costValue     = 1_000   // a parameter or result of a call
	costBlock     = 6_000
	costDepth     = 20    // a step up a chain of dominators
	costParameter = 1_100 // a local that may have to become a parameter of a block
	costArgument  = 300   // a value for it, from each branch
	costLoop      = 500   // the same, in a loop, for each level of loops in the function
	costTarget    = 8_000 // of a br_table
)

// A cost adds up what compiling one function takes. It follows the blocks that the instrumented function will have: two for each of the
// original, since each is charged and may leave there.
type cost struct {
	fn    *function
	sum   int
	depth int // of the present block in the tree of dominators, at most

	loops      int // open
	loopNest   int // deepest
	parameters int // of all loops' heads
	blocks     int
	targets    int // of br_table
	slots      int // values that may need a place in the frame
}

// unreached is the depth of a label that no branch has reached.
const unreached = math.MaxInt

func newCost(fn *function) *cost {
	k := &cost{fn: fn, sum: costFunction + costLocal*fn.locals}
	k.block(0)
	return k
}

// total is known at the function's end.
func (k *cost) total() int { return k.sum + costLoop*k.parameters*k.loopNest }

// block begins a block below one that dominates it.
func (k *cost) block(above int) {
	k.depth = above + 2
	k.blocks++
	k.sum += 2*costBlock + 3*costDepth*k.depth
}

// merge is for the locals and values that become parameters of the present block.
func (k *cost) merge(values int) {
	n := k.carried(values)
	k.slots += n
	k.sum += costParameter * n
}

// carried counts the locals, the fuel among them, and the values that a branch carries.
func (k *cost) carried(values int) int { return k.fn.locals + 1 + values }

// branch notes that a label is reached from the present block.
func (k *cost) branch(c *code, index uint32) {
	l := &c.labels[len(c.labels)-1-int(index)]
	l.depth = min(l.depth, k.depth)
	k.sum += costDepth*k.depth + costArgument*k.carried(l.arity())
}

// instruction adds one instruction, which the walker has just passed. What was dead before it is not compiled.
func (k *cost) instruction(c *code, in *instruction, dead bool) {
	k.sum += costPlain
	switch in.op {
	case opBlock, opLoop, opIf:
		k.open(c, in)
	case opElse:
		k.arm(c, dead)
	case opEnd:
		k.close(c, dead)
	case opBr:
		k.branch(c, in.index)
	case opBrIf:
		k.branch(c, in.index)
		k.block(k.depth)
	case opBrTable:
		k.table(c, in)
	default:
		if !dead {
			k.plain(c, in)
		}
	}
}

func (k *cost) table(c *code, in *instruction) {
	k.branch(c, in.index)
	for _, t := range in.targets {
		k.branch(c, t)
	}
	n := len(in.targets) + 1
	k.targets += n
	k.sum += costTarget * n
}

func (k *cost) open(c *code, in *instruction) {
	l := &c.labels[len(c.labels)-1]
	l.depth, l.fork = unreached, k.depth
	switch in.op {
	case opLoop:
		k.loops++
		k.loopNest = max(k.loopNest, k.loops)
		k.parameters += k.carried(c.height)
		k.block(k.depth)
		k.merge(l.params)
	case opIf:
		k.block(k.depth)
	}
}

// arm begins the other arm of an if.
func (k *cost) arm(c *code, dead bool) {
	l := &c.labels[len(c.labels)-1]
	if !dead {
		l.depth = min(l.depth, k.depth)
	}
	k.block(l.fork)
}

// close goes on behind a label.
func (k *cost) close(c *code, dead bool) {
	l := c.closed
	above := l.depth
	if !dead {
		above = min(above, k.depth)
	}
	switch l.op {
	case opLoop:
		k.loops--
		above = k.depth
	case opIf:
		above = min(above, l.fork)
	}
	if above == unreached {
		above = 0
	}
	k.block(above)
	if l.op != opLoop {
		k.merge(l.results)
	}
}

// plain adds an instruction that stays within its block, or brings blocks of its own.
func (k *cost) plain(c *code, in *instruction) {
	m := c.module
	k.slots++
	switch op := in.op; op {
	case opLocalGet:
		k.sum += costDepth * k.depth
	case opCall:
		k.sum += costCall + k.values(m, in)
	case opCallIndirect:
		k.sum += costIndirect + k.values(m, in)
	case opReturn:
		k.sum += costValue * m.types[k.fn.typ].results
	case opMemoryFill:
		k.inner(costFill)
	case opMemoryCopy, opMemoryInit, opTableCopy, opTableInit, opTableFill, opTableGrow, opMemoryGrow:
		k.inner(costBulk)
	case opRefFunc, opDataDrop, opElemDrop:
		k.sum += costRuntime
	default:
		k.sum += k.operation(op)
	}
}

// operation is for what takes operands from the stack only.
func (k *cost) operation(op opcode) int {
	switch {
	case op >= opFirstLoad && op <= opLastStore, op == opTableGet, op == opTableSet, op>>8 == prefixSIMD:
		return costAccess
	case op >= 0x6d && op <= 0x70, op >= 0x7f && op <= 0x82, op >= 0xa8 && op <= 0xb1, op>>8 == prefixMisc:
		return costTrap
	}
	return 0
}

// inner adds an operation that is compiled to some blocks.
func (k *cost) inner(own int) {
	k.depth += 4
	k.sum += own + 12*costDepth*k.depth
}

func (k *cost) values(m *Module, in *instruction) int {
	t := m.types[m.callee(in)]
	k.slots += t.results
	return costValue * (t.params + t.results)
}
