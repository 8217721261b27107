package meter

import "slices"

// An emitter writes functions in which each block of instructions begins with its charge. A function becomes
//
//	fuel := the global
//	stack := the global + frame; unreachable if that is too much
//	block
//	  the function, with charges; before a return, a call and what may trap the global := fuel, unless it is; behind a call fuel := the global
//	  return
//	end
//	the global := -1; unreachable
//
// and a charge is: fuel -= weight; branch out of that block if fuel < 0. Keeping the fuel in a local within a function, and the way out
// where it is not passed by, is what makes metering cheap.
type emitter struct {
	module *Module
	refs   *references
	locals int    // the function's own
	out    []byte // what is finished
	block  []byte // the present block
	weight uint64 // of the present block
	depth  int    // how many labels are open where the present block begins: the index of the way out
	saved  bool   // the global is what the local is, as far as the present block goes
}

// The locals that are added behind a function's own.
const (
	localFuel   = iota // i64
	localStack         // i32, the stack in use, this function's frame included
	localLength        // i32
)

func (e *emitter) local(n int) int { return e.locals + n }

func (e *emitter) function(fn function) error {
	e.locals = fn.locals
	e.out = e.declare(e.out[:0], fn)
	e.out = e.load(e.out)
	if fn.calls {
		e.out = e.enter(e.out, fn)
	}
	e.out = append(e.out, byte(opBlock), 0x40)
	e.block, e.weight, e.depth, e.saved = e.block[:0], entryWeight(fn), 0, false
	c := e.module.walk(fn)
	var in instruction
	for c.next(&in) {
		e.instruction(&c, &in)
		e.weight += merge(&c, &in)
	}
	return c.err
}

// declare copies the declarations of locals and adds its own.
func (e *emitter) declare(b []byte, fn function) []byte {
	groups, own := entries(e.module.data[fn.groups:fn.code])
	b = append(appendUnsigned(b, uint64(groups+2)), own...)
	return append(b, 1, typeI64, 2, typeI32)
}

// enter finds out how deep the stack is with this function's frame, and stops if it is too deep.
func (e *emitter) enter(b []byte, fn function) []byte {
	m := e.module
	b = appendI32(appendOp(b, opGlobalGet, m.depthIndex()), int32(fn.frame))
	b = appendOp(append(b, byte(opI32Add)), opLocalTee, e.local(localStack))
	b = append(appendI32(b, int32(m.limits.StackBytes)), byte(opI32GtU), byte(opIf), 0x40)
	b = appendOp(appendOp(b, opLocalGet, e.local(localStack)), opGlobalSet, m.depthIndex())
	return append(b, byte(opUnreachable), byte(opEnd))
}

// instruction appends one instruction to the block, and ends the block behind it where control may part or meet. A loop begins a block, so
// that each turn is charged.
func (e *emitter) instruction(c *code, in *instruction) {
	if len(c.labels) == 0 {
		e.leave()
		return
	}
	if in.op == opLoop {
		e.finish()
	}
	e.weight += e.module.weight(in)
	e.prepare(c, in)
	e.copy(c, in)
	switch in.op {
	case opLoop, opIf, opElse, opEnd, opBr, opBrIf, opBrTable, opReturn, opUnreachable:
		e.finish()
		e.depth = len(c.labels) - 1
	case opCall, opCallIndirect:
		e.block = e.load(e.block)
		e.saved = true
	}
}

// merge is the weight of arriving behind an instruction from more than one place.
func merge(c *code, in *instruction) uint64 {
	switch {
	case in.op == opLoop:
		return mergeWeight(c.fn, c.labels[len(c.labels)-1].params)
	case in.op == opEnd && c.closed.op != opLoop:
		return mergeWeight(c.fn, c.closed.results)
	}
	return 0
}

// finish writes the block with its charge before it.
func (e *emitter) finish() {
	if e.weight > 0 {
		e.out = e.charge(e.out, e.depth, func(b []byte) []byte { return appendI64(b, int64(e.weight)) })
	}
	e.out = append(e.out, e.block...)
	e.block, e.weight, e.saved = e.block[:0], 0, false
}

// leave writes the end of the function and the way out.
func (e *emitter) leave() {
	e.save()
	e.finish()
	e.out = append(e.out, byte(opReturn), byte(opEnd))
	e.out = appendOp(appendI64(e.out, -1), opGlobalSet, e.module.fuelIndex())
	e.out = append(e.out, byte(opUnreachable), byte(opEnd))
}

// charge takes an amount of fuel, and goes to the way out if there is not as much.
func (e *emitter) charge(b []byte, depth int, amount func([]byte) []byte) []byte {
	b = amount(appendOp(b, opLocalGet, e.local(localFuel)))
	b = appendOp(append(b, byte(opI64Sub)), opLocalTee, e.local(localFuel))
	return appendOp(append(appendI64(b, 0), byte(opI64LtS)), opBrIf, depth)
}

// save and load move the fuel between the local and the global, which is what other functions and the host see, and what is left of the
// local where an instruction traps.
func (e *emitter) save() {
	if e.saved {
		return
	}
	e.block = appendOp(appendOp(e.block, opLocalGet, e.local(localFuel)), opGlobalSet, e.module.fuelIndex())
	e.saved = true
}

func (e *emitter) load(b []byte) []byte {
	return appendOp(appendOp(b, opGlobalGet, e.module.fuelIndex()), opLocalSet, e.local(localFuel))
}

// prepare appends what has to happen before an instruction: the charge of a length that is known then only, before a call what the callee
// has to know, and before the function is left, by a trap too, what the caller or the host has to know.
func (e *emitter) prepare(c *code, in *instruction) {
	switch in.op {
	case opCall, opCallIndirect:
		e.save()
		if e.module.nests(in) {
			e.block = appendOp(appendOp(e.block, opLocalGet, e.local(localStack)), opGlobalSet, e.module.depthIndex())
		}
	case opReturn, opUnreachable:
		e.save()
	case opBr, opBrIf, opBrTable:
		if leaves(c, in) {
			e.save()
		}
	default:
		if unit, shift := lengthWeight(in.op); unit > 0 {
			e.chargeLength(len(c.labels)-1, unit, shift)
		}
		if traps(in.op) {
			e.save()
		}
	}
}

// chargeLength charges for the number on top of the stack: unit for each, or for each 1<<shift of them.
func (e *emitter) chargeLength(depth int, unit, shift int64) {
	e.saved = false
	e.block = appendOp(e.block, opLocalSet, e.local(localLength))
	e.block = e.charge(e.block, depth, func(b []byte) []byte {
		b = append(appendOp(b, opLocalGet, e.local(localLength)), byte(opI64ExtendU))
		if shift > 0 {
			b = append(appendI64(b, shift), byte(opI64ShrU))
		}
		return append(appendI64(b, unit), byte(opI64Mul))
	})
	e.block = appendOp(e.block, opLocalGet, e.local(localLength))
}

// copy appends the instruction as it is. Only a branch that leaves the function has one more block to get out of, and references have been
// made.
func (e *emitter) copy(c *code, in *instruction) {
	if in.op == opRefFunc {
		e.block = e.refs.append(e.block, in.index)
		return
	}
	if !leaves(c, in) {
		e.block = append(e.block, c.data[in.start:in.end]...)
		return
	}
	e.block = append(e.block, byte(in.op))
	if in.op == opBrTable {
		e.block = appendUnsigned(e.block, uint64(len(in.targets)))
		for _, t := range in.targets {
			e.block = appendUnsigned(e.block, outward(c, t))
		}
	}
	e.block = appendUnsigned(e.block, outward(c, in.index))
}

// leaves tells whether an instruction is a branch that may leave the function.
func leaves(c *code, in *instruction) bool {
	outermost := uint32(len(c.labels) - 1)
	switch in.op {
	case opBr, opBrIf:
		return in.index == outermost
	case opBrTable:
		return in.index == outermost || slices.Contains(in.targets, outermost)
	}
	return false
}

// outward is a branch's depth with the added block counted.
func outward(c *code, depth uint32) uint64 {
	if int(depth) == len(c.labels)-1 {
		return uint64(depth) + 1
	}
	return uint64(depth)
}
