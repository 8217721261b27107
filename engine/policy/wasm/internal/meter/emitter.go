package meter

// An emitter writes functions in which each block of instructions begins with its charge.
type emitter struct {
	module *Module
	out    []byte // what is finished
	block  []byte // the present block
	weight uint64 // of the present block
	locals int    // the function's own
}

// The locals that are added behind a function's own.
const (
	localFuel   = iota // i64
	localFrame         // i32, the stack in use, this function's frame included
	localLength        // i32
)

func (e *emitter) local(n int) int { return e.locals + n }

func (e *emitter) function(fn function) error {
	e.locals = fn.locals
	e.out = e.declare(e.out[:0], fn)
	e.block, e.weight = e.block[:0], 1+uint64(fn.locals)/4
	e.enter(fn)
	c := e.module.walk(fn)
	var in instruction
	for c.next(&in) {
		e.instruction(&c, &in)
	}
	e.finish()
	return c.err
}

// declare copies the declarations of locals and adds its own.
func (e *emitter) declare(b []byte, fn function) []byte {
	groups, own := entries(e.module.data[fn.groups:fn.code])
	b = append(appendUnsigned(b, uint64(groups+2)), own...)
	return append(b, 1, typeI64, 2, typeI32)
}

// enter finds out how deep the stack is with this function's frame, and stops if it is too deep.
func (e *emitter) enter(fn function) {
	m := e.module
	b := appendOp(e.block, opGlobalGet, m.depthIndex())
	b = append(appendI32(b, int32(fn.frame)), byte(opI32Add))
	b = appendOp(b, opLocalTee, e.local(localFrame))
	b = append(appendI32(b, int32(m.limits.StackBytes)), byte(opI32GtU), byte(opIf), 0x40)
	b = appendOp(b, opLocalGet, e.local(localFrame))
	b = appendOp(b, opGlobalSet, m.depthIndex())
	e.block = append(b, byte(opUnreachable), byte(opEnd))
}

// instruction appends one instruction to the block and begins a new one behind it where control can go elsewhere or come from elsewhere.
func (e *emitter) instruction(c *code, in *instruction) {
	if in.op == opLoop {
		e.finish()
	}
	e.weight += e.module.weight(in)
	e.prepare(in)
	e.block = append(e.block, c.data[in.start:in.end]...)
	switch in.op {
	case opLoop:
		// The head is charged at each turn: what is behind it belongs to it.
		e.out = append(e.out, e.block...)
		e.block = e.block[:0]
	case opIf, opElse, opEnd, opBr, opBrIf, opBrTable, opReturn, opUnreachable:
		e.finish()
	}
}

// finish writes the block with its charge before it.
func (e *emitter) finish() {
	if e.weight > 0 {
		e.out = e.charge(e.out, func(b []byte) []byte { return appendI64(b, int64(e.weight)) })
	}
	e.out = append(e.out, e.block...)
	e.block, e.weight = e.block[:0], 0
}

// charge takes an amount of fuel, and stops if there is not as much. Fuel that is below zero tells the host so.
func (e *emitter) charge(b []byte, amount func([]byte) []byte) []byte {
	m := e.module
	b = amount(appendOp(b, opGlobalGet, m.fuelIndex()))
	b = appendOp(append(b, byte(opI64Sub)), opLocalTee, e.local(localFuel))
	b = appendOp(b, opGlobalSet, m.fuelIndex())
	b = appendOp(b, opLocalGet, e.local(localFuel))
	b = append(appendI64(b, 0), byte(opI64LtS), byte(opIf), 0x40)
	return append(b, byte(opUnreachable), byte(opEnd))
}

// prepare appends what has to happen before an instruction: the charge of a length that is known then only, and before a call the depth.
func (e *emitter) prepare(in *instruction) {
	switch in.op {
	case opCall, opCallIndirect:
		e.block = appendOp(e.block, opLocalGet, e.local(localFrame))
		e.block = appendOp(e.block, opGlobalSet, e.module.depthIndex())
	case opMemoryInit, opMemoryCopy, opMemoryFill:
		e.chargeLength(1, 4)
	case opTableInit, opTableCopy, opTableFill, opTableGrow:
		e.chargeLength(1, 0)
	case opMemoryGrow:
		e.chargeLength(5_000, 0)
	}
}

// chargeLength charges for the number on top of the stack: unit for each, or for each 1<<shift of them.
func (e *emitter) chargeLength(unit int64, shift int64) {
	e.block = appendOp(e.block, opLocalSet, e.local(localLength))
	e.block = e.charge(e.block, func(b []byte) []byte {
		b = append(appendOp(b, opLocalGet, e.local(localLength)), byte(opI64ExtendU))
		b = append(appendI64(b, shift), byte(opI64ShrU))
		return append(appendI64(b, unit), byte(opI64Mul))
	})
	e.block = appendOp(e.block, opLocalGet, e.local(localLength))
}
