package rego

import "github.com/nri-guard/nri-guard/engine"

// fieldSet is a set of change fields, by their place in [engine.Fields].
type fieldSet uint64

func (s fieldSet) fields() []engine.Field {
	var fields []engine.Field
	for i, spec := range engine.Fields() {
		if s&(1<<i) != 0 {
			fields = append(fields, spec.Field)
		}
	}
	return fields
}

// fieldBit returns the set that holds the one field; the empty set where there is
// no such field.
func fieldBit(f engine.Field) fieldSet {
	for i, spec := range engine.Fields() {
		if spec.Field == f {
			return 1 << i
		}
	}
	return 0
}
