package wasm_test

import "github.com/nri-guard/nri-guard/engine/policy/wasm/internal/wasmtest"

// shape is code that makes the compiler do a great deal, mostly below values that stay
// on the operand stack, or among locals that stay alive.
type shape struct {
	globals int
	locals  int
	values  int
	value   func(i int) []byte
	step    []byte // as often as the limits let it be
}

// What functions there are in a module of shapes, besides those with the shape.
const (
	callee  = 6 + iota // does nothing; its type is calleeType
	carrier            // takes and returns half as much as a type may have
)

const (
	calleeType   = 4
	carried      = 32
	carriedTypes = 5
)

// shapes are those that are worst for something in the estimate of what loading takes.
func shapes() map[string]shape {
	global := []byte{opGlobalGet, 0}
	set := []byte{opGlobalSet, 0}
	local := func(op, i int) []byte { return wasmtest.Cat(op, wasmtest.U(i)) }
	sum := func(i int) []byte { return wasmtest.Cat(global, wasmtest.I32Const(int32(i)), opI32Add) }
	load := func(i int) []byte { return wasmtest.Cat(sum(i), opI32Load, 0, 0) }
	branch := wasmtest.Cat(global, opBranchIf, 0)
	exit := func(op int) []byte { return wasmtest.Cat(global, opIf, void, op, opEnd) }
	fill := wasmtest.Cat(global, global, global, 0xfc, 11, 0)
	far := wasmtest.Cat(0x2c, 0, 0xff, 0xff, 0xff, 0xff, 0x0f) // i32.load8_s
	all := map[string]shape{
		"calls with many globals":             {globals: 990, step: []byte{opCall, callee}},
		"functions with many globals":         {globals: 990, step: nil},
		"values below branches":               {values: 3_000, value: sum, step: branch},
		"values below ifs":                    {values: 300, value: sum, step: wasmtest.Cat(global, opIf, void, opEnd)},
		"values below returns":                {globals: 51, values: 300, value: sum, step: exit(0x0f)},
		"returns":                             {globals: 51, step: exit(0x0f)},
		"traps":                               {step: exit(opUnreachable)},
		"addresses before branches":           {values: 1_500, value: load, step: branch},
		"values of globals below branches":    {globals: 990, values: 300, value: func(i int) []byte { return local(opGlobalGet, i) }, step: branch},
		"values below tables of branches":     {values: 2_000, value: sum, step: table(20)},
		"few values below large tables":       {locals: 64, values: 10, value: sum, step: table(500)},
		"stores":                              {step: wasmtest.Cat(global, global, opI32Store, 2, 0)},
		"globals that are looked for far off": {globals: 3, step: wasmtest.Cat(wasmtest.Repeat(20, opGlobalGet, 2, opDrop), branch)},
		"loads of what was loaded":            {values: 1, value: sum, step: far},
		"comparisons of comparisons":          {values: 1, value: sum, step: wasmtest.Cat(0x45, 0x45, 0x45, 0x45, 0x67)},
		"shifts by constants":                 {values: 1, value: sum, step: wasmtest.Cat(wasmtest.I32Const(3), 0x75)},
		"divisions":                           {step: wasmtest.Cat(global, global, 0x6d, set)},
		"truncations":                         {step: wasmtest.Cat(global, 0xb8, 0xab, set)},
		"vectors":                             {step: wasmtest.Cat(wasmtest.Repeat(2, global, 0xfd, 0x0f), 0xfd, 0x0d, make([]byte, 16), 0xfd, 0x15, 0, set)},
		"numbers converted and converted":     {step: wasmtest.Cat(global, 0xfd, 0x11, wasmtest.Repeat(50, 0xfd, 0xf9, 1), 0xfd, 0x1b, 0, set)},
		"signs turned and turned":             {step: wasmtest.Cat(global, 0xb7, wasmtest.Repeat(50, 0x9a), 0xaa, set)},
		"integers made floating":              {step: wasmtest.Cat(global, 0xad, wasmtest.Repeat(25, 0xba, 0xbd), 0xa7, set)},
		"truncations that have no sign":       {step: wasmtest.Cat(global, 0xb8, wasmtest.Repeat(25, 0xb1, 0xba), 0xaa, set)},
		"minima of minima":                    {step: wasmtest.Cat(global, 0xb7, wasmtest.Repeat(25, global, 0xb7, 0xa4), 0xaa, set)},
		"signs copied and copied":             {step: wasmtest.Cat(global, 0xb7, wasmtest.Repeat(25, global, 0xb7, 0xa6), 0xaa, set)},
		"bits counted in vectors":             {step: wasmtest.Cat(global, 0xfd, 0x11, wasmtest.Repeat(50, 0xfd, 0x62), 0xfd, 0x1b, 0, set)},
		"choices by comparisons":              {step: wasmtest.Cat(global, wasmtest.Repeat(25, global, global, 0xb7, global, 0xb7, 0x63, 0x1b), set)},
		"table accesses":                      {step: wasmtest.Cat(global, global, 0x25, 0, 0x26, 0)},
		"references":                          {step: []byte{0xd2, callee, opDrop}},
		"calls that carry much":               {values: carried, value: sum, step: wasmtest.Cat(opCall, carrier)},
		"indirect calls that carry much":      {values: carried, value: sum, step: wasmtest.Cat(global, 0x11, carriedTypes, 0)},
		"memory.fill":                         {step: fill},
		"memory.fill among locals":            {locals: 256, step: fill},
		"branches out of ifs":                 {locals: 16, step: nested(20, wasmtest.Cat(global, opIf, void), branch)},
		"loops in loops":                      {locals: 16, step: nested(20, wasmtest.Cat(opLoop, void), branch)},
		"a table of branches into each":       {locals: 10, step: jumps(300)},
		"dead code":                           {step: wasmtest.Cat(opBlock, void, opUnreachable, wasmtest.Repeat(100, opUnreachable), opEnd)},
		"constants":                           {step: constants},
	}
	return all
}

// table is a br_table of so many targets.
func table(n int) []byte {
	return wasmtest.Cat(opBlock, void, opGlobalGet, 0, 0x0e, wasmtest.U(n), make([]byte, n+1), opEnd)
}

// nested is a nest of control structures that each set a local and go on with a step.
func nested(n int, begin, step []byte) []byte {
	var ends []byte
	for i := range n {
		ends = append(ends, wasmtest.Cat(step, opGlobalGet, 0, opLocalSet, wasmtest.U(i%16), opEnd)...)
	}
	return append(wasmtest.Repeat(n, begin), ends...)
}

// jumps is a br_table that leads to as many places, one in the other, as Go compiles
// whatever may be resumed.
func jumps(n int) []byte {
	out := wasmtest.Cat(wasmtest.Repeat(n, opBlock, void), opGlobalGet, 0, 0x0e, wasmtest.U(n-1))
	for i := range n {
		out = append(out, wasmtest.U(i)...)
	}
	for i := range n {
		out = append(out, wasmtest.Cat(opEnd, opGlobalGet, 0, opLocalSet, i%10, opCall, callee, opLocalGet, (i+1)%10, opGlobalSet, 0)...)
	}
	return out
}

// body is the code of a function with so many steps.
func (s shape) body(steps int) []byte {
	var body []byte
	for i := range s.locals {
		body = append(body, wasmtest.Cat(opGlobalGet, 0, opLocalSet, wasmtest.U(i))...)
	}
	for i := range s.values {
		body = append(body, s.value(i)...)
	}
	body = append(body, wasmtest.Repeat(steps, s.step)...)
	body = append(body, wasmtest.Repeat(s.values, opGlobalSet, 0)...)
	for i := range s.locals {
		body = append(body, wasmtest.Cat(opLocalGet, wasmtest.U(i), opGlobalSet, 0)...)
	}
	return body
}

// module has so many steps in each of so many functions, behind what it is filled with.
func (s shape) module(steps, functions int, f filling) []byte {
	c := newCommand()
	for range s.globals + 1 {
		c.Global(wasmtest.I32, true, wasmtest.I32Const(0))
	}
	c.Table(wasmtest.FuncRef, 10, 10)
	nothing := c.Type(nil, nil)
	list := wasmtest.Repeat(carried, wasmtest.I32)
	carry := c.Type(list, list)
	c.Func(nothing, nil)
	var all []byte
	for i := range carried {
		all = append(all, wasmtest.Cat(opLocalGet, i)...)
	}
	c.Func(carry, nil, all)
	c.Elements(0, callee)
	for range f.functions {
		c.Func(nothing, nil, f.body)
	}
	body := wasmtest.Cat(1, wasmtest.U(s.locals), wasmtest.I32, s.body(steps), opEnd)
	for range functions {
		c.Body(nothing, body)
	}
	if f.data > 0 {
		c.Data(-1, make([]byte, f.data))
	}
	return c.module()
}

// filling is what makes a module large at little cost.
type filling struct {
	body      []byte
	functions int
	data      int
}

var constants = wasmtest.Cat(wasmtest.I32Const(7), opDrop)

// fillings are of all kinds.
func fillings() map[string]filling {
	return map[string]filling{
		"nothing":   {},
		"constants": {body: wasmtest.Repeat(20_000, constants), functions: 30},
		"nops":      {body: wasmtest.Repeat(60_000, 0x01), functions: 40},
		"dead code": {body: wasmtest.Cat(opUnreachable, wasmtest.Repeat(8_000, constants)), functions: 60},
		"functions": {body: wasmtest.Repeat(100, constants), functions: 10_000},
		"data":      {data: 4_500_000},
	}
}
