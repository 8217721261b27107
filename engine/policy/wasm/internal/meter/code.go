package meter

import "fmt"

// An instruction is one decoded instruction of a function body. Its bytes are data[start:end].
type instruction struct {
	op         opcode
	start, end int
	index      uint32   // of the function, type, local, global, table, ...; a branch's depth; a br_table's default
	index2     uint32   // a second one: call_indirect's table, table.init's table
	offset     uint32   // of a load or store
	targets    []uint32 // br_table's, valid until the next instruction
}

// A label is a control structure that is open at the present instruction.
type label struct {
	op      opcode
	params  int
	results int
	base    int   // height of the operand stack below the parameters
	dead    bool  // what follows in it is not reached: it is behind an unconditional branch
	height  int   // of the operand stack where it ended
	ways    int   // for cost: that lead behind it
	joined  place // for cost: where they come from
	fork    place // for cost: where it began
}

// arity is the number of values that a branch to the label carries.
func (l label) arity() int {
	if l.op == opLoop {
		return l.params
	}
	return l.results
}

// code walks through the instructions of one function. It keeps the open labels on a stack of its own, so nesting costs no recursion.
type code struct {
	reader
	module  *Module
	fn      function
	labels  []label
	targets []uint32
	height  int   // of the operand stack
	closed  label // what the last end closed
}

// walk begins a walk behind the declarations of locals.
func (m *Module) walk(fn function) code {
	t := m.types[fn.typ]
	c := code{module: m, fn: fn}
	c.reader = reader{data: m.data, pos: fn.code, end: fn.end}
	c.labels = append(make([]label, 0, 16), label{op: opBlock, results: t.results})
	return c
}

// dead tells whether the next instruction is not reached.
func (c *code) dead() bool { return len(c.labels) > 0 && c.labels[len(c.labels)-1].dead }

// next decodes one instruction. It returns false behind the function's end and at an error.
func (c *code) next(in *instruction) bool {
	if c.err != nil {
		return false
	}
	if len(c.labels) == 0 {
		if c.pos != c.end {
			c.fail(c.pos, "code behind the end of the function")
		}
		return false
	}
	in.start = c.pos
	in.op = c.opcode()
	in.targets = nil
	c.height += net(in.op)
	c.immediates(in)
	in.end = c.pos
	c.nest(in)
	return c.err == nil
}

func (c *code) opcode() opcode {
	start := c.pos
	b := c.byte()
	if b != prefixMisc && b != prefixSIMD {
		return opcode(b)
	}
	n := c.u32()
	if n > 0xff && c.err == nil {
		c.fail(start, "unknown instruction %#02x %#x: only WebAssembly 2.0 is supported", b, n)
	}
	return opcode(b)<<8 | opcode(n&0xff)
}

func (c *code) immediates(in *instruction) {
	m := c.module
	switch immediateOf(in.op) {
	case immNone:
	case immBlockType:
		c.open(in)
	case immLabel:
		in.index = c.index("label", len(c.labels))
	case immLabels:
		c.branchTable(in)
	case immFunction:
		in.index = c.index("function", len(m.funcs))
	case immCallIndirect:
		in.index = c.index("type", len(m.types))
		in.index2 = c.index("table", m.tables)
	case immLocal:
		in.index = c.index("local", c.fn.locals)
	case immGlobal:
		in.index = c.index("global", m.globals)
	case immAccess:
		c.access(in)
	case immI32:
		c.signed(32)
	case immI64:
		c.signed(64)
	case immUnknown:
		c.fail(in.start, "unknown %s: only WebAssembly 2.0 is supported", unknownName(in.op))
	default:
		c.rareImmediates(in)
	}
}

func (c *code) rareImmediates(in *instruction) {
	m := c.module
	switch immediateOf(in.op) {
	case immTypes:
		for n := c.count(); n > 0 && c.err == nil; n-- {
			c.valueType()
		}
	case immTable:
		in.index = c.index("table", m.tables)
	case immTables:
		in.index = c.index("table", m.tables)
		in.index2 = c.index("table", m.tables)
	case immTableInit:
		in.index = c.index("element segment", m.elements)
		in.index2 = c.index("table", m.tables)
	case immElement:
		in.index = c.index("element segment", m.elements)
	case immMemory:
		c.memory()
	case immMemories:
		c.memory()
		c.memory()
	case immMemoryInit:
		c.segment(in)
		c.memory()
	case immData:
		c.segment(in)
	case immAccessLane:
		c.access(in)
		c.byte()
	case immLane:
		c.byte()
	case immF32:
		c.skip(4)
	case immF64:
		c.skip(8)
	case immV128, immShuffle:
		c.skip(16)
	case immRefType:
		c.refType()
	}
}

// access is the alignment and offset of a load or store. A higher alignment byte would select a memory, of which there is only one.
func (c *code) access(in *instruction) {
	start := c.pos
	if align := c.u32(); align >= 0x40 {
		c.fail(start, "malformed alignment %#x of instruction %#02x", align, in.op)
	}
	in.offset = c.u32()
	c.hasMemory()
}

// memory is the byte that multi-memory would make an index.
func (c *code) memory() {
	start := c.pos
	if b := c.byte(); b != 0 {
		c.fail(start, "memory %d: multi-memory is not part of WebAssembly 2.0", b)
	}
	c.hasMemory()
}

func (c *code) hasMemory() {
	if c.module.memories == 0 {
		c.fail(c.pos, "unknown memory 0, there is none")
	}
}

// segment is the index of a data segment; the count of them has to stand before the code.
func (c *code) segment(in *instruction) {
	if !c.module.hasDataCount {
		c.fail(c.pos, "data count section required")
	}
	in.index = c.index("data segment", c.module.dataCount)
}

func (c *code) branchTable(in *instruction) {
	n := c.count()
	if n > c.module.limits.BranchTargets {
		c.over(&LimitError{Limit: "branchTargets", Value: uint64(n), Bound: uint64(c.module.limits.BranchTargets), What: "br_table targets"})
		return
	}
	c.targets = c.targets[:0]
	for ; n > 0 && c.err == nil; n-- {
		c.targets = append(c.targets, c.index("label", len(c.labels)))
	}
	in.targets = c.targets
	in.index = c.index("label", len(c.labels))
}

// open reads a block type.
func (c *code) open(in *instruction) {
	l := label{op: in.op}
	start := c.pos
	switch t := c.signed(33); {
	case t == -64: // nothing
	case t >= 0:
		if t >= int64(len(c.module.types)) {
			c.fail(start, "unknown type %d, there are %d", t, len(c.module.types))
			return
		}
		l.params, l.results = c.module.types[t].params, c.module.types[t].results
	case t < -64 || !isValueType(byte(t&0x7f)):
		c.fail(start, "unknown block type")
	default:
		l.results = 1
	}
	l.base = c.height - l.params
	l.dead = c.labels[len(c.labels)-1].dead
	c.labels = append(c.labels, l)
	if bound := c.module.limits.Nesting; len(c.labels) > bound {
		c.over(&LimitError{Limit: "nesting", Value: uint64(len(c.labels)), Bound: uint64(bound), What: "levels of nesting"})
	}
}

// nest keeps the labels and the height of the operand stack, and holds that else and end match what is open.
func (c *code) nest(in *instruction) {
	if c.err != nil {
		return
	}
	top := len(c.labels) - 1
	l := &c.labels[top]
	switch in.op {
	case opElse:
		if l.op != opIf {
			c.fail(in.start, "else without if")
			return
		}
		l.op, l.dead = opElse, c.labels[top-1].dead
		c.height = l.base + l.params
	case opEnd:
		c.closed = *l
		c.closed.height = c.height
		c.labels = c.labels[:top]
		c.height = l.base + l.results
		return
	case opBr, opBrTable, opReturn, opUnreachable:
		l.dead = true
	case opCall:
		c.called(in)
	case opCallIndirect:
		c.height--
		c.called(in)
	}
	if l.dead || c.height < l.base {
		c.height = l.base
	}
}

// called takes a call's parameters off the operand stack and puts its results there.
func (c *code) called(in *instruction) {
	t := c.module.types[c.module.callee(in)]
	c.height += t.results - t.params
}

// callee is the type of what a call or call_indirect calls.
func (m *Module) callee(in *instruction) uint32 {
	if in.op == opCall {
		return m.funcs[in.index]
	}
	return in.index
}

// over ends the walk with a refusal that names the function.
func (c *code) over(e *LimitError) {
	e.Where = fmt.Sprintf("function %d", c.fn.index)
	if c.err == nil {
		c.err = e
		c.pos = c.end
	}
}
