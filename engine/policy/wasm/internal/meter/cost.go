package meter

// What compiling a function costs, in nanoseconds as measured with wazero's compiler on the shapes that are worst for it; real guests take
// about half of it. The compiler finds dominators and loops by walking up chains of blocks, looks locals up by walking up the same chains,
// makes parameters of blocks out of locals, removes redundant ones in one pass for each level of loops, and writes bulk operations as loops
// in place. What makes it allocate much costs as much more as keeps one function within about 150 MiB.
const (
	costFunction  = 10_000
	costLocal     = 2_000
	costPlain     = 400     // an instruction
	costAccess    = 10_000  // of memory or a table, 5 kB each
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
	costGlobal    = 100   // a global, in each function
	costReload    = 400   // a mutable global, at each call: it may have changed
	costLive      = 350   // a value that is alive where a block begins
	costKnown     = 100   // an address that is known to lie in memory where a block begins
)

// A cost adds up what compiling one function takes. It follows the blocks that the instrumented function will have: two for each of the
// original, since each is charged and may leave there.
type cost struct {
	place // of the present block
	m     *Module
	fn    *function
	sum   int

	height     int // of the operand stack
	gets       int // of globals
	loops      int // open
	loopNest   int // deepest
	parameters int // of all loops' heads
	blocks     int
	targets    int // of br_table
	slots      int // values that may need a place in the frame
}

// A place is what there is to know about a block of where it stands; each is at most that.
type place struct {
	depth int // in the tree of dominators
	line  int // blocks before it with one way in, up which values of globals and of the memory are looked for
	known int // addresses of which the compiler remembers that they lie in memory
}

// arrive notes one more way behind the label.
func (l *label) arrive(from place) {
	if l.ways++; l.ways > 1 {
		from = place{depth: min(l.joined.depth, from.depth), known: min(l.joined.known, from.known)}
	}
	l.joined = from
}

func newCost(m *Module, fn *function) *cost {
	k := &cost{m: m, fn: fn, sum: costFunction + costLocal*fn.locals + costGlobal*m.globals}
	k.block(place{})
	return k
}

// total is known at the function's end.
func (k *cost) total() int { return k.sum + costLoop*k.parameters*k.loopNest }

// block begins a block below one that dominates it. What is alive there is noted for it: values on the operand stack and of globals, and
// addresses.
func (k *cost) block(above place) {
	k.place = place{depth: above.depth + 2, line: above.line + 2, known: above.known}
	k.blocks++
	k.sum += 2*costBlock + 3*costDepth*k.depth + k.alive()
}

// alive is for what each block has a list of.
func (k *cost) alive() int {
	return costLive*(k.fn.locals+k.height+min(k.gets, k.m.globals)) + costKnown*k.known
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
	l.arrive(k.place)
	k.sum += costDepth*k.depth + costKnown*k.known + costArgument*k.carried(l.arity())
}

// instruction adds one instruction, which the walker has just passed. What was dead before it is not compiled.
func (k *cost) instruction(c *code, in *instruction, dead bool) {
	k.sum += costPlain
	k.height = c.height
	switch in.op {
	case opBlock, opLoop, opIf:
		k.open(c, in)
	case opElse:
		k.arm(c, dead)
	case opEnd:
		k.close(c, dead)
	default:
		if !dead {
			k.within(c, in)
		}
	}
}

// within adds an instruction that opens and closes nothing.
func (k *cost) within(c *code, in *instruction) {
	switch in.op {
	case opBr:
		k.branch(c, in.index)
	case opBrIf:
		k.branch(c, in.index)
		k.block(k.place)
	case opBrTable:
		k.table(c, in)
	default:
		k.plain(c, in)
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
	c.labels[len(c.labels)-1].fork = k.place
	switch in.op {
	case opLoop:
		k.loops++
		k.loopNest = max(k.loopNest, k.loops)
		k.parameters += k.carried(c.height)
		k.block(k.place)
		k.line = 0
		k.merge(c.labels[len(c.labels)-1].params)
	case opIf:
		k.block(k.place)
	}
}

// arm begins the other arm of an if.
func (k *cost) arm(c *code, dead bool) {
	l := &c.labels[len(c.labels)-1]
	if !dead {
		l.arrive(k.place)
	}
	k.block(l.fork)
}

// close goes on behind a label.
func (k *cost) close(c *code, dead bool) {
	l := c.closed
	if l.op == opLoop {
		k.loops--
		k.block(k.place)
		return
	}
	if !dead {
		l.arrive(k.place)
	}
	if l.op == opIf {
		l.arrive(l.fork)
	}
	k.block(l.joined)
	k.merge(l.results)
}

// plain adds an instruction that stays within its block, or brings blocks of its own.
func (k *cost) plain(c *code, in *instruction) {
	m := c.module
	k.slots++
	switch op := in.op; op {
	case opLocalGet:
		k.sum += costDepth * k.depth
	case opGlobalGet, opGlobalSet:
		k.gets++
		k.sum += costDepth * k.line
	case opCall:
		k.sum += costCall + k.values(m, in)
	case opCallIndirect:
		k.sum += costIndirect + k.values(m, in)
	case opReturn:
		k.sum += 4*costDepth*k.depth + costValue*m.types[k.fn.typ].results
	case opUnreachable:
		k.sum += 4 * costDepth * k.depth
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
	case immediateOf(op) == immAccess, immediateOf(op) == immAccessLane:
		k.known++
		return costAccess + 2*costDepth*k.line
	case op == opTableGet, op == opTableSet, op>>8 == prefixSIMD:
		return costAccess
	case op >= 0x6d && op <= 0x70, op >= 0x7f && op <= 0x82, op >= 0xa8 && op <= 0xb1, op>>8 == prefixMisc:
		return costTrap
	}
	return 0
}

// inner adds an operation that is compiled to some blocks.
func (k *cost) inner(own int) {
	k.depth += 4
	k.line = 0
	k.sum += own + 12*costDepth*k.depth + 2*k.alive()
}

func (k *cost) values(m *Module, in *instruction) int {
	t := m.types[m.callee(in)]
	k.slots += t.results
	k.sum += costReload * m.mutable
	return costValue * (t.params + t.results)
}
