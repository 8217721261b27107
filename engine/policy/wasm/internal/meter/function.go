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
		if err := m.boundOf(m.next(), "functionBytes", "bytes", int(size), m.limits.FunctionBytes); err != nil {
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
func (m *Module) boundOf(function int, limit, what string, value, bound int) error {
	if value <= bound {
		return nil
	}
	return &LimitError{Limit: limit, Value: uint64(value), Bound: uint64(bound), Where: fmt.Sprintf("function %d", function), What: what}
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
	return m.boundOf(fn.index, "locals", "locals", fn.locals, m.limits.Locals)
}

// measure walks through the function, which decodes it, and holds what it will cost against the bounds.
func (m *Module) measure(fn *function) error {
	k := newCost(m, fn)
	c := m.walk(*fn)
	var in instruction
	for {
		dead := c.dead()
		if !c.next(&in) {
			break
		}
		fn.note(&in)
		if len(c.labels) > 0 {
			k.instruction(&c, &in, dead)
		}
	}
	if c.err != nil {
		return c.err
	}
	fn.frame = m.frame(fn, k)
	return m.boundCost(fn, k)
}

// note keeps what is needed before the function is walked through again.
func (fn *function) note(in *instruction) {
	switch in.op {
	case opCall, opCallIndirect:
		fn.calls = true
	case opLocalSet, opLocalTee:
		fn.sets++
	}
}

// frame estimates the machine stack that a call of the function takes, from above. The compiler gives each value that is alive while another
// function is called, or for which registers run short, a place of its own; here each has one, as large as a vector.
func (m *Module) frame(fn *function, k *cost) uint32 {
	return uint32(min(64+16*(fn.locals+k.slots), m.limits.StackBytes+1))
}

// boundCost holds one function's cost, and the module's so far.
func (m *Module) boundCost(fn *function, k *cost) error {
	locals, total := k.blocks*fn.locals, k.total()
	m.localsTimesBlocks += locals
	m.branchTargets += k.targets
	m.nesting += k.nesting
	l := m.limits
	for _, err := range []error{
		m.boundOf(fn.index, "localsTimesBlocks", "locals times blocks", locals, l.LocalsTimesBlocks),
		m.boundOf(fn.index, "branchTargets", "br_table targets", k.targets, l.BranchTargets),
		m.boundOf(fn.index, "functionCost", "microseconds of compilation", total/1000, l.FunctionCost),
		m.bound("moduleLocalsTimesBlocks", "locals times blocks", m.localsTimesBlocks, l.ModuleLocalsTimesBlocks),
		m.bound("moduleBranchTargets", "br_table targets", m.branchTargets, l.ModuleBranchTargets),
		m.bound("moduleNesting", "levels of nesting", m.nesting, l.ModuleNesting),
		m.spend(total),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// spend adds nanoseconds to what the module costs, and holds that against its bound.
func (m *Module) spend(cost int) error {
	m.cost += cost
	return m.bound("compileCost", "microseconds of compilation", m.cost/1000, m.limits.CompileCost)
}
