package wasm

import "context"

// What tests of the inside need.

// Instance is an instance that a test has taken.
type Instance = instance

// Take takes an instance of the first module, as a decision does.
func (p *Program) Take(ctx context.Context) (*Instance, error) { return p.asked[0].pool.take(ctx) }

// Put gives it back.
func (p *Program) Put(in *Instance) { p.asked[0].pool.put(in, true) }

// Begin prepares an instance for a decision, with something to read.
func (in *instance) Begin(input string) {
	in.begin(context.Background(), DefaultFuel)
	in.input = []byte(input)
}

// Host calls a function of the host as the module would. It returns what ended the
// call, if it did not return.
func (in *instance) Host(module, name string, a ...uint64) (result uint64, ended any) {
	defer func() { ended = recover() }()
	stack := append(a, 0)
	allowed()[module][name].call(in, stack)
	return stack[0], nil
}

// Bytes is a part of the memory.
func (in *instance) Bytes(ptr, size uint32) []byte {
	b, _ := in.view(ptr, size)
	return b
}

// Burnt is the fuel used since Begin.
func (in *instance) Burnt() uint64 { return in.burnt() }

// Output is what was written to standard output.
func (in *instance) Output() string { return string(in.output) }

// Printed are the lines for the log.
func (in *instance) Printed() []string {
	var list []string
	for _, l := range in.printed.lines {
		list = append(list, l.text)
	}
	if in.printed.dropped {
		list = append(list, "(more)")
	}
	return list
}

// ReadResponse reads an answer in NRI's convention.
func ReadResponse(b []byte) (bool, string, error) { return readResponse(b) }

// ReadViolations returns the number of violations of an answer.
func ReadViolations(b []byte) (int, error) {
	list, err := readViolations(b)
	return len(list), err
}
