package meter

import "fmt"

func (m *Module) readCode(r *reader) error {
	start := r.pos
	n := r.count()
	if r.err == nil && n != len(m.funcs)-m.imported {
		return wrongAt(start, "%d functions are declared, %d are defined", len(m.funcs)-m.imported, n)
	}
	m.functions = make([]function, 0, n)
	for ; n > 0 && r.err == nil; n-- {
		size := r.u32()
		if err := m.boundOf(m.next(), "functionBytes", "bytes", uint64(size), m.limits.FunctionBytes); err != nil {
			return err
		}
		body := r.sub(size)
		fn, err := m.readFunction(&body)
		if err != nil {
			return err
		}
		m.functions = append(m.functions, fn)
	}
	return nil
}

// next is the index of the function that is being read.
func (m *Module) next() int { return m.imported + len(m.functions) }

// boundOf is a *LimitError if a function has more than the bound.
func (m *Module) boundOf(function int, limit, what string, value uint64, bound int) error {
	if value <= uint64(bound) {
		return nil
	}
	return &LimitError{Limit: limit, Value: value, Bound: uint64(bound), Where: fmt.Sprintf("function %d", function), What: what}
}

// readFunction decodes the body of one function and measures what it will cost the compiler and the stack.
func (m *Module) readFunction(r *reader) (function, error) {
	fn := function{index: m.next(), typ: m.funcs[m.next()], groups: r.pos, end: r.end}
	if err := m.readLocals(r, &fn); err != nil {
		return fn, err
	}
	fn.code = r.pos
	return fn, m.measure(&fn)
}

// readLocals counts the locals: groups of a number and a type.
func (m *Module) readLocals(r *reader, fn *function) error {
	locals := uint64(m.types[fn.typ].params)
	start := r.pos
	for n := r.count(); n > 0 && r.err == nil; n-- {
		locals += uint64(r.u32())
		r.valueType()
	}
	if r.err == nil && locals > 1<<32-1 {
		r.fail(start, "too many locals")
	}
	if r.err != nil {
		return r.err
	}
	fn.locals = int(locals)
	return m.boundOf(fn.index, "locals", "locals", locals, m.limits.Locals)
}

// measure walks through the function.
func (m *Module) measure(fn *function) error {
	var in instruction
	c := m.walk(*fn)
	var blocks, targets, values uint64
	for c.next(&in) {
		values++
		switch in.op {
		case opBlock, opLoop, opIf, opElse, opBrIf:
			blocks++
		case opCall, opCallIndirect:
			fn.calls = true
		case opLocalSet, opLocalTee:
			fn.sets++
		case opBrTable:
			targets += uint64(len(in.targets)) + 1
		}
	}
	if c.err != nil {
		return c.err
	}
	blocks *= uint64(fn.locals)
	m.localsTimesBlocks += blocks
	m.branchTargets += targets
	fn.frame = uint32(min(64+8*(values+uint64(fn.locals)), 1<<30))
	for _, err := range []error{
		m.boundOf(fn.index, "localsTimesBlocks", "locals times blocks", blocks, m.limits.LocalsTimesBlocks),
		m.boundOf(fn.index, "branchTargets", "br_table targets", targets, m.limits.BranchTargets),
		m.bound("moduleLocalsTimesBlocks", "locals times blocks", int(m.localsTimesBlocks), m.limits.ModuleLocalsTimesBlocks),
		m.bound("moduleBranchTargets", "br_table targets", int(m.branchTargets), m.limits.ModuleBranchTargets),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}
