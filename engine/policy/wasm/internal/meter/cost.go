package meter

// A cost adds up what loading one function takes. It follows the blocks that the instrumented function will have: two for each of the
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
	nesting    int // deepest, the function itself included
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
	k := &cost{m: m, fn: fn, nesting: 1, sum: costFunction + costLocal*fn.locals + costGlobal*m.globals}
	k.block(place{})
	return k
}

// total is known at the function's end. All blocks branch to the way out.
func (k *cost) total() int {
	sum := k.sum + costLoop*k.parameters*k.loopNest + costSearch*k.blocks*k.blocks
	return sum + costUncached*max(0, sum-cached)
}

// block begins a block below one that dominates it. What is alive there is noted for it: values on the operand stack and of globals, and
// addresses.
func (k *cost) block(above place) {
	k.place = place{depth: above.depth + 2, line: above.line + 2, known: above.known}
	k.blocks++
	k.sum += costBlock + 3*costDepth*k.depth + k.alive() + costKnown*k.known
}

// living counts what each block has a list of.
func (k *cost) living() int { return k.fn.locals + k.height + min(k.gets, k.m.globals) }

// alive is for making that list, and for what becomes of locals.
func (k *cost) alive() int { return costHeld*k.fn.locals + costLive*k.living() }

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
	k.sum += costBranch + costDepth*k.depth + costKnown*k.known + costArgument*k.carried(l.arity())
}

// instruction adds one instruction, which the walker has just passed. What was dead before it is not compiled.
func (k *cost) instruction(c *code, in *instruction, dead bool) {
	k.height = c.height
	if k.height > manyValues {
		k.sum += costSpill
	}
	switch in.op {
	case opBlock, opLoop, opIf:
		k.sum += costPlain
		k.open(c, in)
	case opElse:
		k.sum += costPlain
		k.arm(c, dead)
	case opEnd:
		k.sum += costPlain
		k.close(c, dead)
	default:
		if dead {
			k.sum += costDead
		} else {
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
	k.sum += n * (costTarget + costLive*k.living())
}

func (k *cost) open(c *code, in *instruction) {
	c.labels[len(c.labels)-1].fork = k.place
	k.nesting = max(k.nesting, len(c.labels))
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
	k.sum += costSearch * l.ways * l.ways
	k.block(l.joined)
	k.merge(l.results)
}

// plain adds an instruction that stays within its block, or brings blocks of its own.
func (k *cost) plain(c *code, in *instruction) {
	m := c.module
	k.slots++
	switch op := in.op; op {
	case opLocalGet:
		k.sum += costMove + costLookup*k.depth
	case opGlobalGet, opGlobalSet:
		k.gets++
		k.sum += costMutable + costLine*k.line
	case opCall:
		k.sum += costCall + k.values(m, in)
	case opCallIndirect:
		k.sum += costIndirect + k.values(m, in)
	case opReturn:
		k.sum += costBranch + costDepth*k.depth + costValue*m.types[k.fn.typ].results
	case opUnreachable:
		k.sum += costBranch + costDepth*k.depth
	case opMemoryFill:
		k.inner(costFill + 4*k.alive())
	case opMemoryCopy, opMemoryInit, opTableCopy, opTableInit, opTableFill, opTableGrow, opMemoryGrow:
		k.inner(costBulk + k.alive())
	case opRefFunc, opDataDrop, opElemDrop:
		k.sum += costRuntime
	default:
		k.sum += price(op)
		if accesses(op) {
			k.known++
			k.sum += 2 * costLine * k.line
			if in.offset >= far {
				k.sum += costFar
			}
		}
	}
}

// inner adds an operation that is compiled to some blocks.
func (k *cost) inner(own int) {
	k.depth += 4
	k.line = 0
	k.sum += own + costDepth*k.depth + 2*costKnown*k.known
}

func (k *cost) values(m *Module, in *instruction) int {
	t := m.types[m.callee(in)]
	k.slots += t.results
	k.sum += costReload * m.mutable
	sum := costValue * (t.params + t.results)
	if k.height > manyValues {
		sum += costSpill * (t.params + t.results)
	}
	return sum
}
