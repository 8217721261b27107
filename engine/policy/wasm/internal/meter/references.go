package meter

// references are the functions that a module's code takes references to. Wazero makes a new object each time that ref.func is carried out, and
// keeps all of them for as long as the instance lives: memory that no bound would be about. So there is one of each, in a table of the
// meter's own behind the module's, and ref.func becomes table.get.
type references struct {
	table     int // its index
	functions []uint32
	entries   map[uint32]int // of the table, by function
}

// append appends what takes the place of ref.func.
func (r *references) append(b []byte, function uint32) []byte {
	entry, known := r.entries[function]
	if !known {
		entry = len(r.functions)
		r.entries[function] = entry
		r.functions = append(r.functions, function)
	}
	return appendOp(appendI32(b, int32(entry)), opTableGet, r.table)
}

// declare appends the table to those of the module, if there is anything in it.
func (r *references) declare(tables []byte) []byte {
	n := uint32(len(r.functions))
	if n == 0 {
		return tables
	}
	count, own := entries(tables)
	b := append(appendUnsigned(nil, uint64(count+1)), own...)
	return appendSize(append(b, typeFuncref), Size{Min: n, Max: n})
}

// fill appends the segment with what is in the table to those of the module.
func (r *references) fill(segments []byte) []byte {
	if len(r.functions) == 0 {
		return segments
	}
	count, own := entries(segments)
	b := append(appendUnsigned(nil, uint64(count+1)), own...)
	b = appendUnsigned(appendUnsigned(b, elementExplicit), uint64(r.table))
	b = append(appendI32(b, 0), byte(opEnd), 0) // from entry 0 on; functions
	b = appendUnsigned(b, uint64(len(r.functions)))
	for _, f := range r.functions {
		b = appendUnsigned(b, uint64(f))
	}
	return b
}
