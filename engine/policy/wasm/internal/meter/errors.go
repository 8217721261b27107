package meter

import (
	"errors"
	"fmt"
)

// What a file can be instead of a WebAssembly module. Check wraps them; compare with errors.Is.
var (
	// ErrNoModule: the bytes do not begin as a module does.
	ErrNoModule = errors.New("no WebAssembly module")
	// ErrComponent: a component of the component model, which has to be built as a core module instead.
	ErrComponent = errors.New("a WebAssembly component, where a core module is expected")
	// ErrTruncated: the file ends before the module does.
	ErrTruncated = errors.New("the WebAssembly module is truncated")
)

// A LimitError is the refusal of a module that is valid but larger than the configuration lets it be.
type LimitError struct {
	Limit string // the configuration key of the bound, e.g. functionBytes
	Value uint64 // what the module has; at least that, where counting stopped at the bound
	Bound uint64
	Where string // what has too much: "the module", "function 12"
	What  string // of what: "bytes", "levels of nesting"
}

// Error says who has how much of what, and which configuration key bounds it.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%s has %d %s, more than the %d that %s allows", e.Where, e.Value, e.What, e.Bound, e.Limit)
}

// wrongAt is an error about the bytes at an offset of the module.
func wrongAt(offset int, format string, args ...any) error {
	return fmt.Errorf("offset %#x: %w", offset, fmt.Errorf(format, args...))
}
