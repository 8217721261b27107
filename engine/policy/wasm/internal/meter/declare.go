package meter

const (
	typeI32       = 0x7f
	typeI64       = 0x7e
	typeV128      = 0x7b
	typeFuncref   = 0x70
	typeExternref = 0x6f
)

func isValueType(t byte) bool {
	return t >= typeV128 && t <= typeI32 || isRefType(t)
}

func isRefType(t byte) bool { return t == typeFuncref || t == typeExternref }

func (r *reader) valueType() byte {
	start := r.pos
	t := r.byte()
	if r.err == nil && !isValueType(t) {
		r.fail(start, "unknown value type %#02x: only WebAssembly 2.0 is supported", t)
	}
	return t
}

func (r *reader) refType() byte {
	start := r.pos
	t := r.byte()
	if r.err == nil && !isRefType(t) {
		r.fail(start, "unknown reference type %#02x: only WebAssembly 2.0 is supported", t)
	}
	return t
}

func (m *Module) readTypes(r *reader) error {
	n, err := m.number(r, "types", "types", m.limits.Types)
	if err != nil {
		return err
	}
	for ; n > 0 && r.err == nil; n-- {
		start := r.pos
		if form := r.byte(); form != 0x60 && r.err == nil {
			return wrongAt(start, "unknown form of type %#02x: only WebAssembly 2.0 is supported", form)
		}
		t := funcType{params: r.count()}
		t.at = r.pos
		for range t.params {
			r.valueType()
		}
		t.results = r.count()
		for range t.results {
			r.valueType()
		}
		if err := m.bound("parameters", "parameters and results of one type", t.params+t.results, m.limits.Parameters); err != nil {
			return err
		}
		m.types = append(m.types, t)
		if err := m.spend(costType + costTyped*(t.params+t.results)); err != nil {
			return err
		}
	}
	return nil
}

// signature gives the value types of parameters and results. They are separated by the count of the results.
func (m *Module) signature(typ uint32) (params, results []byte) {
	t := m.types[typ]
	r := reader{data: m.data, pos: t.at + t.params, end: len(m.data)}
	r.count()
	return m.data[t.at : t.at+t.params], m.data[r.pos : r.pos+t.results]
}

func (m *Module) readImports(r *reader) error {
	n, err := m.number(r, "imports", "imports", m.limits.Imports)
	if err != nil {
		return err
	}
	for ; n > 0 && r.err == nil; n-- {
		im := Import{Module: r.name(), Name: r.name()}
		start := r.pos
		im.Kind = Kind(r.byte())
		switch im.Kind {
		case Function:
			typ := r.index("type", len(m.types))
			if r.err != nil {
				return r.err
			}
			im.Params, im.Results = m.signature(typ)
			m.funcs = append(m.funcs, typ)
			m.imported++
		case Table:
			r.refType()
			_, err = m.tableSize(r)
		case Memory:
			_, err = m.memorySize(r)
		case Global:
			m.mutable += r.globalType()
			m.globals++
		default:
			r.fail(start, "unknown kind of import %#02x: only WebAssembly 2.0 is supported", byte(im.Kind))
		}
		if err != nil {
			return err
		}
		m.Imports = append(m.Imports, im)
	}
	return nil
}

// globalType is 1 for a global that is mutable.
func (r *reader) globalType() int {
	r.valueType()
	start := r.pos
	b := r.byte()
	if b > 1 {
		r.fail(start, "malformed mutability %#02x", b)
	}
	return int(b)
}

func (m *Module) readFunctions(r *reader) error {
	n, err := m.number(r, "functions", "functions", m.limits.Functions)
	if err != nil {
		return err
	}
	for ; n > 0 && r.err == nil; n-- {
		m.funcs = append(m.funcs, r.index("type", len(m.types)))
	}
	return nil
}

func (m *Module) readTables(r *reader) error {
	n, err := m.number(r, "tables", "tables", m.limits.Tables)
	if err != nil {
		return err
	}
	for ; n > 0 && r.err == nil; n-- {
		r.refType()
		size, err := m.tableSize(r)
		if err != nil {
			return err
		}
		m.Tables = append(m.Tables, size)
	}
	return nil
}

func (m *Module) readMemories(r *reader) error {
	start := r.pos
	n := r.count()
	for ; n > 0 && r.err == nil; n-- {
		size, err := m.memorySize(r)
		if err != nil {
			return err
		}
		if m.memories > 1 {
			return wrongAt(start, "%d memories: multi-memory is not part of WebAssembly 2.0", m.memories)
		}
		m.Memories = append(m.Memories, size)
	}
	return nil
}

func (m *Module) tableSize(r *reader) (Size, error) {
	m.tables++
	size := r.size("a table of 64 bit indices")
	if err := m.bound("tableEntries", "entries in a table", int(size.Min), m.limits.TableEntries); err != nil {
		return size, err
	}
	size.Max = uint32(min(uint64(size.Max), uint64(m.limits.TableEntries)))
	return size, r.err
}

func (m *Module) memorySize(r *reader) (Size, error) {
	m.memories++
	start := r.pos
	size := r.size("memory64")
	if size.Min > 65_536 || size.Max > 65_536 && size.Max != noMaximum {
		r.fail(start, "memory size must be at most 65536 pages")
	}
	if err := m.bound("memoryPages", "pages of memory", int(size.Min), m.limits.MemoryPages); err != nil {
		return size, err
	}
	size.Max = uint32(min(uint64(size.Max), uint64(m.limits.MemoryPages)))
	return size, r.err
}

const noMaximum = 1<<32 - 1

// size reads a minimum and, if there is one, a maximum.
func (r *reader) size(wide string) Size {
	start := r.pos
	switch flags := r.byte(); {
	case r.err != nil:
	case flags&4 != 0:
		r.fail(start, "%s is not part of WebAssembly 2.0", wide)
	case flags&2 != 0:
		r.fail(start, "shared memory is of threads, which is not part of WebAssembly 2.0")
	case flags == 0:
		return Size{Min: r.u32(), Max: noMaximum}
	case flags == 1:
		s := Size{Min: r.u32(), Max: r.u32()}
		if s.Max < s.Min {
			r.fail(start, "the minimum %d is greater than the maximum %d", s.Min, s.Max)
		}
		return s
	default:
		r.fail(start, "malformed limits flags %#02x", flags)
	}
	return Size{}
}

func (m *Module) readGlobals(r *reader) error {
	n, err := m.number(r, "globals", "globals", m.limits.Globals)
	if err != nil {
		return err
	}
	for ; n > 0 && r.err == nil; n-- {
		m.mutable += r.globalType()
		m.constant(r)
		m.globals++
	}
	return nil
}

func (m *Module) readExports(r *reader) error {
	n, err := m.number(r, "exports", "exports", m.limits.Exports)
	if err != nil {
		return err
	}
	seen := make(map[string]bool, n)
	for ; n > 0 && r.err == nil; n-- {
		start := r.pos
		e := Export{Name: r.name()}
		if seen[e.Name] {
			return wrongAt(start, "duplicate export name %.100q", e.Name)
		}
		seen[e.Name] = true
		kind := r.pos
		e.Kind = Kind(r.byte())
		switch e.Kind {
		case Function:
			i := r.index("function", len(m.funcs))
			if r.err != nil {
				return r.err
			}
			e.Params, e.Results = m.signature(m.funcs[i])
		case Table:
			r.index("table", m.tables)
		case Memory:
			r.index("memory", m.memories)
		case Global:
			r.index("global", m.globals)
		default:
			r.fail(kind, "unknown kind of export %#02x: only WebAssembly 2.0 is supported", byte(e.Kind))
		}
		m.Exports = append(m.Exports, e)
	}
	return nil
}
