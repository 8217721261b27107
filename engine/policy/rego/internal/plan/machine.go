package plan

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"
)

// A signal says how a search for solutions goes on.
type signal uint8

const (
	more signal = iota // there may be further solutions
	done               // the innermost search has enough of them
	halt               // machine.err says why
)

// frame holds the variables of a rule that is being evaluated.
type frame []*ast.Term

// step is a part of a body: for each of its solutions it runs what comes after it.
type step func(m *machine, f frame) signal

// value is a term with at most one value; nil is undefined, or an error of the
// machine's.
type value func(m *machine, f frame) *ast.Term

// undefinedTerm stands in the memory for a rule that has no value.
var undefinedTerm = &ast.Term{Value: ast.InternedNullValue}

// machine is one evaluation. What it remembers belongs to one input.
type machine struct {
	program *Program
	limit   Limit
	err     error
	steps   int // until the limit is looked at

	input     *ast.Term
	overrides *ast.Term         // what with puts in the place of data
	mocks     map[int]*ast.Term // values that with puts in the place of functions
	memory    *memory

	stack   []*ast.Term // frames
	args    []*ast.Term // operands of calls
	found   []*ast.Term // elements of comprehensions
	objects []*object   // partial objects under construction
	listing *conflicts
	outside []environment // what with has replaced
	yield   func(Result) error

	resolver resolver // of the index that is being asked
	results  []*ast.Term
	builtin  topdown.BuiltinContext
	output   *ast.Term
	take     func(*ast.Term) error
}

// memory is what the evaluation remembers of an input and data.
type memory struct {
	rules  []*ast.Term // by id
	calls  []calls     // by id of the function
	groups map[int]*group
}

func (p *planner) newMemory() *memory {
	return &memory{rules: make([]*ast.Term, p.rules), calls: make([]calls, p.functions)}
}

func (m *memory) forget() {
	clear(m.rules)
	for i := range m.calls {
		m.calls[i].forget()
	}
	m.groups = nil
}

// stepsPerLook is how many steps are taken before the machine looks whether it has
// been cancelled.
const stepsPerLook = 512

func newMachine(p *Program) *machine {
	m := &machine{program: p, memory: p.newMemory(), stack: make([]*ast.Term, 0, 256)}
	m.take = func(t *ast.Term) error {
		m.output = t
		return nil
	}
	return m
}

// begin makes the machine ready for an evaluation.
func (m *machine) begin(ctx context.Context, input *ast.Term) {
	m.input, m.steps = input, stepsPerLook
	m.builtin = topdown.BuiltinContext{
		Context:      ctx,
		Metrics:      metrics.NoOp(),
		Seed:         rand.Reader,
		Cancel:       m,
		Cache:        builtins.Cache{},
		Capabilities: m.program.compiler.Capabilities(),
	}
}

// end forgets everything about an evaluation, so that the machine can be kept for another
// one. What a large one took is not kept.
func (m *machine) end() {
	m.memory.forget()
	m.stack, m.args, m.found, m.results = emptied(m.stack), emptied(m.args), emptied(m.found), emptied(m.results)
	m.objects, m.outside = emptied(m.objects), emptied(m.outside)
	m.input, m.limit, m.yield = nil, nil, nil
	m.builtin = topdown.BuiltinContext{}
	m.resolver = resolver{}
}

// emptied forgets elements, but not their places, unless these are many.
func emptied[T any](list []T) []T {
	const most = 1024
	if cap(list) > most {
		return nil
	}
	clear(list[:cap(list)])
	return list[:0]
}

// enter makes room for a frame; leave gives it back.
func (m *machine) enter(size int) (frame, []*ast.Term) {
	before := m.stack
	start := len(before)
	if start+size > cap(before) {
		m.stack = make([]*ast.Term, size, max(2*cap(before), 4*size))
		return frame(m.stack), before
	}
	m.stack = before[:start+size]
	f := frame(m.stack[start : start+size : start+size])
	clear(f)
	return f, before
}

func (m *machine) leave(before []*ast.Term) { m.stack = before }

// tick counts a step. It says whether the evaluation is over.
func (m *machine) tick() (over bool) {
	m.steps--
	return m.steps < 0 && m.look()
}

func (m *machine) look() (over bool) {
	m.steps = stepsPerLook
	if m.err == nil && m.Cancelled() {
		m.err = &topdown.Error{Code: topdown.CancelErr, Message: "caller cancelled query execution"}
	}
	return m.err != nil
}

// Cancel implements [topdown.Cancel], of which builtins use only the other half.
func (m *machine) Cancel() {}

// Cancelled implements [topdown.Cancel].
func (m *machine) Cancelled() bool { return m.limit != nil && m.limit() }

// nothing is what a step returns where a term has no value.
func (m *machine) nothing() signal {
	if m.err != nil {
		return halt
	}
	return more
}

func (m *machine) fail(err error) signal {
	if m.err == nil {
		m.err = err
	}
	return halt
}

func (m *machine) now() *ast.Term {
	if m.builtin.Time == nil {
		m.builtin.Time = ast.NumberTerm(int64JSON(time.Now().UnixNano()))
	}
	return m.builtin.Time
}
