package meter

// The sections of the binary format.
const (
	sectionCustom = iota
	sectionType
	sectionImport
	sectionFunction
	sectionTable
	sectionMemory
	sectionGlobal
	sectionExport
	sectionStart
	sectionElement
	sectionCode
	sectionData
	sectionDataCount
)

// order is the one in which sections have to stand.
var order = [...]int{sectionType, sectionImport, sectionFunction, sectionTable, sectionMemory, sectionGlobal, sectionExport, sectionStart,
	sectionElement, sectionDataCount, sectionCode, sectionData}

// rank is a section's place in the order, -1 if there is no such section.
func rank(id byte) int {
	for i, s := range order {
		if s == int(id) {
			return i
		}
	}
	return -1
}

// decode reads the sections.
func (m *Module) decode() error {
	r := reader{data: m.data, pos: 8, end: len(m.data), file: true}
	last := -1
	for r.more() {
		start := r.pos
		id := r.byte()
		content := r.sub(r.u32())
		if r.err != nil {
			return r.err
		}
		if id == sectionCustom {
			content.name()
			if content.err != nil {
				return content.err
			}
			continue
		}
		switch at := rank(id); {
		case at < 0 && id == 13:
			return wrongAt(start, "unknown section 13 of exception handling: only WebAssembly 2.0 is supported")
		case at < 0:
			return wrongAt(start, "unknown section %d", id)
		case at == last:
			return wrongAt(start, "section %d stands twice", id)
		case at < last:
			return wrongAt(start, "section %d is out of order", id)
		default:
			last = at
		}
		if err := m.section(id, content); err != nil {
			return err
		}
	}
	if r.err != nil {
		return r.err
	}
	return m.complete()
}

// section decodes one section.
func (m *Module) section(id byte, r reader) error {
	m.sections[id] = section{present: true, start: r.pos, end: r.end}
	var err error
	switch id {
	case sectionType:
		err = m.readTypes(&r)
	case sectionImport:
		err = m.readImports(&r)
	case sectionFunction:
		err = m.readFunctions(&r)
	case sectionTable:
		err = m.readTables(&r)
	case sectionMemory:
		err = m.readMemories(&r)
	case sectionGlobal:
		err = m.readGlobals(&r)
	case sectionExport:
		err = m.readExports(&r)
	case sectionStart:
		m.HasStart = true
		m.start = r.index("function", len(m.funcs))
	case sectionElement:
		err = m.readElements(&r)
	case sectionDataCount:
		m.hasDataCount = true
		m.dataCount = int(r.u32())
		err = m.bound("dataSegments", "data segments", m.dataCount, m.limits.DataSegments)
	case sectionCode:
		err = m.readCode(&r)
	case sectionData:
		err = m.readData(&r)
	}
	if err != nil {
		return err
	}
	if r.err == nil && r.pos != r.end {
		return wrongAt(r.pos, "section %d has content left over", id)
	}
	return r.err
}

// complete holds what needs several sections: those that are missing.
func (m *Module) complete() error {
	switch end := len(m.data); {
	case len(m.funcs)-m.imported != len(m.functions):
		return wrongAt(end, "%d functions are declared, %d are defined", len(m.funcs)-m.imported, len(m.functions))
	case m.hasDataCount && m.dataCount > 0 && !m.sections[sectionData].present:
		return wrongAt(end, "%d data segments are announced, none is there", m.dataCount)
	}
	return nil
}

// number reads the count of a section's entries and holds its bound.
func (m *Module) number(r *reader, limit, what string, bound int) (int, error) {
	n := r.count()
	if r.err != nil {
		return 0, r.err
	}
	return n, m.bound(limit, what, n, bound)
}
