package meter

import (
	"bytes"
	"fmt"
)

// Kind says what an import or export is.
type Kind uint8

// The kinds of imports and exports, numbered as in the binary format.
const (
	Function Kind = iota
	Table
	Memory
	Global
)

// String names the kind as error messages do.
func (k Kind) String() string {
	if k > Global {
		return fmt.Sprintf("kind %#x", uint8(k))
	}
	return [...]string{"function", "table", "memory", "global"}[k]
}

// An Import is what a module needs from its host. Params and Results are those of a function, as the binary format's value types.
type Import struct {
	Module, Name    string
	Kind            Kind
	Params, Results []byte
}

// An Export is what a module offers.
type Export struct {
	Name            string
	Kind            Kind
	Params, Results []byte // of a function
}

// Size is a memory in pages of 64 KiB, or a table in entries.
type Size struct {
	Min uint32
	Max uint32 // what it may grow to once instrumented: its own maximum or the limit, whichever is less
}

// A Module has been decoded and is within the bounds. It has not been validated.
type Module struct {
	Imports  []Import
	Exports  []Export
	Memories []Size // defined ones, at most one
	Tables   []Size // defined ones
	HasStart bool

	// FuelGlobal is the name under which the instrumented module exports its fuel, a mutable i64. The host sets it before a call;
	// what is left stands in it after the call, however that ended, and while the guest calls the host, which may take from it. A block is
	// paid for as a whole before it runs: where it traps too. It is -1 when the call ended for lack of fuel.
	FuelGlobal string
	// DepthGlobal is the name under which the instrumented module exports the bytes of stack in use, a mutable i32. The host sets it to
	// 0 before a call. It is above StackBytes when the call ended for nesting too deeply.
	DepthGlobal string
	// StartExport is the name under which the instrumented module exports its start function, if it has one: it is not run by
	// instantiation but has to be called first, with fuel.
	StartExport string
	// StackBytes is the bound of DepthGlobal.
	StackBytes uint32
	// Unfit is why instantiating the module traps, where that is certain: wazero goes on without the elements, and those of the meter's own.
	Unfit error

	data   []byte
	limits Limits

	sections     [13]section
	types        []funcType
	funcs        []uint32 // type of each function, imported ones first
	imported     int      // functions
	functions    []function
	tables       int
	memories     int
	globals      int
	mutable      int // globals
	elements     int
	dataCount    int
	hasDataCount bool
	start        uint32

	localsTimesBlocks int
	branchTargets     int
	nesting           int
	cost              int // of compiling it, in nanoseconds
}

// section is where a section's content lies.
type section struct {
	present    bool
	start, end int
}

type funcType struct {
	params, results int
	at              int // of the parameters' types
}

// function is one defined function.
type function struct {
	index  int // among all
	typ    uint32
	groups int // where the declarations of locals begin
	code   int // where the instructions begin
	end    int
	locals int    // parameters included
	frame  uint32 // estimated bytes of machine stack
	calls  bool
	sets   int // instructions that set a local
}

var preamble = []byte{0, 'a', 's', 'm'}

// Check decodes a module and holds the bounds. It reads the bytes once, from front to end, and allocates no more than in proportion to
// them. The error says what is wrong and where; where a bound is exceeded it is a *LimitError, and what is no module at all is
// ErrNoModule, ErrComponent or ErrTruncated.
func Check(module []byte, limits Limits) (*Module, error) {
	m := &Module{data: module, limits: limits.withDefaults()}
	if err := m.header(); err != nil {
		return nil, err
	}
	if err := m.decode(); err != nil {
		return nil, err
	}
	m.StackBytes = uint32(m.limits.StackBytes)
	m.nameExports()
	return m, nil
}

func (m *Module) header() error {
	if n := min(len(m.data), 4); n == 0 || !bytes.Equal(m.data[:n], preamble[:n]) {
		return ErrNoModule
	}
	if len(m.data) < 8 {
		return ErrTruncated
	}
	if err := m.bound("moduleBytes", "bytes", len(m.data), m.limits.ModuleBytes); err != nil {
		return err
	}
	switch version := [4]byte(m.data[4:8]); {
	case version == [4]byte{1, 0, 0, 0}:
		return nil
	case version[2] == 1 && version[3] == 0:
		return ErrComponent
	default:
		return fmt.Errorf("%w of version 1: unknown version %x", ErrNoModule, version)
	}
}

// bound is a *LimitError if the module has more than the bound.
func (m *Module) bound(limit, what string, value, bound int) error {
	if value <= bound {
		return nil
	}
	return &LimitError{Limit: limit, Value: uint64(value), Bound: uint64(bound), Where: "the module", What: what}
}

// nameExports picks export names that the module itself does not use.
func (m *Module) nameExports() {
	used := map[string]bool{}
	for _, e := range m.Exports {
		used[e.Name] = true
	}
	pick := func(name string) string {
		for used[name] {
			name += "'"
		}
		used[name] = true
		return name
	}
	m.FuelGlobal = pick("nri-guard fuel")
	m.DepthGlobal = pick("nri-guard depth")
	if m.HasStart {
		m.StartExport = pick("nri-guard start")
	}
}
