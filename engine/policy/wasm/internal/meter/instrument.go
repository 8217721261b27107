package meter

// Instrument gives the module in which every block of instructions is paid for. It makes sense for a module that is valid only: an invalid
// one may become valid by it, since there are two globals more.
func (m *Module) Instrument() ([]byte, error) {
	refs := references{table: m.tables, entries: map[uint32]int{}}
	code, err := m.rewriteCode(&refs)
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(m.data)*2), m.data[:8]...)
	for _, id := range order {
		content, present := m.content(id), m.sections[id].present
		switch id {
		case sectionTable:
			content = refs.declare(m.rewriteTables(content))
			present = present || len(refs.functions) > 0
		case sectionElement:
			content = refs.fill(content)
			present = present || len(refs.functions) > 0
		case sectionMemory:
			content = m.rewriteMemories()
		case sectionGlobal:
			content, present = m.rewriteGlobals(content), true
		case sectionExport:
			content, present = m.rewriteExports(content), true
		case sectionStart:
			present = false
		case sectionCode:
			content = code
		}
		if present {
			out = appendSection(out, byte(id), content)
		}
	}
	return out, nil
}

// Stripped gives the module without its custom sections, which mean nothing to it and may be malformed: a decoder that reads the names in
// them trusts counts that nobody has checked.
func (m *Module) Stripped() []byte {
	out := append(make([]byte, 0, len(m.data)), m.data[:8]...)
	for _, id := range order {
		if m.sections[id].present {
			out = appendSection(out, byte(id), m.content(id))
		}
	}
	return out
}

func (m *Module) content(id int) []byte {
	s := m.sections[id]
	return m.data[s.start:s.end]
}

func appendSize(b []byte, s Size) []byte {
	b = appendUnsigned(append(b, 1), uint64(s.Min))
	return appendUnsigned(b, uint64(s.Max))
}

func (m *Module) rewriteMemories() []byte {
	b := appendUnsigned(nil, uint64(len(m.Memories)))
	for _, s := range m.Memories {
		b = appendSize(b, s)
	}
	return b
}

func (m *Module) rewriteTables(content []byte) []byte {
	r := reader{data: content, end: len(content)}
	r.count()
	b := appendUnsigned(nil, uint64(len(m.Tables)))
	for _, s := range m.Tables {
		b = appendSize(append(b, r.byte()), s)
		r.size("")
	}
	return b
}

// entries splits a section into the number of its entries and their bytes.
func entries(content []byte) (int, []byte) {
	if len(content) == 0 {
		return 0, nil
	}
	r := reader{data: content, end: len(content)}
	n := r.count()
	return n, content[r.pos:]
}

// rewriteGlobals adds the counters behind the module's own globals, so that no index in its code means them.
func (m *Module) rewriteGlobals(content []byte) []byte {
	n, own := entries(content)
	b := append(appendUnsigned(nil, uint64(n+2)), own...)
	b = append(appendI64(append(b, typeI64, 1), 0), byte(opEnd))
	return append(appendI32(append(b, typeI32, 1), 0), byte(opEnd))
}

func (m *Module) fuelIndex() int  { return m.globals }
func (m *Module) depthIndex() int { return m.globals + 1 }

func (m *Module) rewriteExports(content []byte) []byte {
	n, own := entries(content)
	added := 2
	if m.HasStart {
		added++
	}
	b := append(appendUnsigned(nil, uint64(n+added)), own...)
	b = appendUnsigned(append(appendName(b, m.FuelGlobal), byte(Global)), uint64(m.fuelIndex()))
	b = appendUnsigned(append(appendName(b, m.DepthGlobal), byte(Global)), uint64(m.depthIndex()))
	if m.HasStart {
		b = appendUnsigned(append(appendName(b, m.StartExport), byte(Function)), uint64(m.start))
	}
	return b
}

func (m *Module) rewriteCode(refs *references) ([]byte, error) {
	b := appendUnsigned(make([]byte, 0, len(m.data)*2), uint64(len(m.functions)))
	e := emitter{module: m, refs: refs}
	for _, fn := range m.functions {
		if err := e.function(fn); err != nil {
			return nil, err
		}
		b = appendUnsigned(b, uint64(len(e.out)))
		b = append(b, e.out...)
	}
	return b, nil
}
