package meter

import (
	"fmt"
	"math"
)

// constant reads an initial value: one instruction and an end. An i32.const is returned.
func (m *Module) constant(r *reader) (value uint32, known bool) {
	start := r.pos
	switch op := opcode(r.byte()); op {
	case opI32Const:
		value, known = uint32(r.signed(32)), true
	case opI64Const:
		r.signed(64)
	case opF32Const:
		r.skip(4)
	case opF64Const:
		r.skip(8)
	case prefixSIMD:
		if r.u32() != uint32(opV128Const&0xff) {
			r.fail(start, "constant expression required")
		}
		r.skip(16)
	case opRefNull:
		r.refType()
	case opRefFunc:
		r.index("function", len(m.funcs))
	case opGlobalGet:
		r.index("global", m.globals)
	default:
		r.fail(start, "constant expression required, not instruction %#02x", byte(op))
	}
	start = r.pos
	switch op := opcode(r.byte()); op {
	case opEnd:
	case opI32Add, 0x6b, 0x6c, opI64Add, opI64Sub, opI64Mul, opI32Const, opI64Const, opGlobalGet:
		r.fail(start, "one constant is expected, not instruction %#02x: extended constant expressions are not part of WebAssembly 2.0", byte(op))
	default:
		r.fail(start, "the end of a constant expression is expected, not instruction %#02x", byte(op))
	}
	return value, known
}

// The flags of an element segment.
const (
	elementNotActive   = 1
	elementExplicit    = 2 // table index, or declarative
	elementExpressions = 4
)

func (m *Module) readElements(r *reader) error {
	n, err := m.number(r, "elementSegments", "element segments", m.limits.ElementSegments)
	if err != nil {
		return err
	}
	total := 0
	for ; n > 0 && r.err == nil; n-- {
		expressions, room := m.elementHeader(r)
		count := r.count()
		total += count
		if count > room && m.Unfit == nil {
			m.Unfit = fmt.Errorf("element segment %d has %d elements where its table has room for %d: it cannot be instantiated", m.elements, count, max(room, 0))
		}
		if err := m.bound("elements", "elements", total, m.limits.Elements); err != nil {
			return err
		}
		if err := m.spend(costSegment * count); err != nil {
			return err
		}
		for ; count > 0 && r.err == nil; count-- {
			if expressions {
				m.constant(r)
			} else {
				r.index("function", len(m.funcs))
			}
		}
		m.elements++
	}
	return nil
}

// elementHeader reads what stands before the elements of a segment, and tells whether those are expressions, and for how many there is room
// as far as that is known.
func (m *Module) elementHeader(r *reader) (expressions bool, room int) {
	room = math.MaxInt
	start := r.pos
	flags := r.u32()
	if flags > 7 {
		r.fail(start, "malformed flags %#x of an element segment", flags)
		return false, room
	}
	expressions = flags&elementExpressions != 0
	if flags&elementNotActive == 0 {
		table := 0
		if flags&elementExplicit != 0 {
			table = int(r.u32())
		}
		if r.err == nil && table >= m.tables {
			r.fail(start, "unknown table %d, there are %d", table, m.tables)
		}
		offset, known := m.constant(r)
		if own := table - (m.tables - len(m.Tables)); known && own >= 0 && own < len(m.Tables) {
			room = int(m.Tables[own].Min) - int(offset)
		}
	}
	if flags&(elementNotActive|elementExplicit) == 0 {
		return expressions, room
	}
	if expressions {
		r.refType()
		return expressions, room
	}
	start = r.pos
	if kind := r.byte(); kind != 0 {
		r.fail(start, "unknown kind of elements %#02x", kind)
	}
	return expressions, room
}

func (m *Module) readData(r *reader) error {
	start := r.pos
	n, err := m.number(r, "dataSegments", "data segments", m.limits.DataSegments)
	if err != nil {
		return err
	}
	if m.hasDataCount && n != m.dataCount {
		return wrongAt(start, "%d data segments, %d were announced", n, m.dataCount)
	}
	if err := m.spend(costSegment * n); err != nil {
		return err
	}
	total := 0
	for ; n > 0 && r.err == nil; n-- {
		m.dataHeader(r)
		size := r.count()
		r.skip(size)
		total += size
		if err := m.bound("dataBytes", "bytes of data", total, m.limits.DataBytes); err != nil {
			return err
		}
	}
	return nil
}

// dataHeader reads what stands before the bytes of a segment: 0 is for memory 0, 1 passive, 2 names the memory.
func (m *Module) dataHeader(r *reader) {
	start := r.pos
	flags := r.u32()
	if flags > 2 {
		r.fail(start, "malformed flags %#x of a data segment", flags)
		return
	}
	if flags == 1 {
		return
	}
	if flags == 2 {
		r.u32()
	}
	if r.err == nil && m.memories == 0 {
		r.fail(start, "unknown memory 0, there is none")
	}
	m.constant(r)
}
