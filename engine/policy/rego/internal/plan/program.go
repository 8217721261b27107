package plan

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Limit says whether an evaluation has to end. It is asked often.
type Limit func() bool

// Program is rules that have been planned.
type Program struct {
	*planner
	world *world
	idle  sync.Pool // machines
}

// New returns a program for the rules of a compiler and documents.
func New(c *ast.Compiler, documents ast.Object) *Program {
	ordered(ast.NewTerm(documents))
	p := &planner{compiler: c, documents: documents}
	return &Program{planner: p, world: p.newWorld()}
}

// Query is a body that has been planned.
type Query struct {
	program *Program
	size    int
	run     step
	vars    []ast.Var
	slots   []int
}

// Query plans a body. The error says what in it has no plan.
func (p *Program) Query(body ast.Body) (q *Query, err error) {
	defer func() {
		switch cause := recover().(type) {
		case nil:
		case unsupported:
			err = cause
		default:
			panic(cause)
		}
	}()
	s := newScope(p.world)
	q = &Query{program: p}
	q.run = s.body(body, func() step {
		for v := range s.fn.vars {
			if s.bound[v] {
				q.vars, q.slots = append(q.vars, v), append(q.slots, s.slot(v))
			}
		}
		return func(m *machine, f frame) signal {
			m.results = m.results[:0]
			for _, slot := range q.slots {
				m.results = append(m.results, solid(f[slot]))
			}
			if err := m.yield(Result{q.vars, m.results}); err != nil {
				return m.fail(err)
			}
			return more
		}
	})
	q.size = s.fn.size
	return q, nil
}

// Result is what a solution of a query gives its variables, until there is another one
// of the same evaluation.
type Result struct {
	vars   []ast.Var
	values []*ast.Term
}

// Get returns the value of a variable of the query's, nil for any other.
func (r Result) Get(v ast.Var) *ast.Term {
	if i := slices.Index(r.vars, v); i >= 0 {
		return r.values[i]
	}
	return nil
}

// Evaluation is what queries about one input share: what one has found out, the
// others need not find out again. It is for one at a time, and of no use any more
// after an error.
type Evaluation struct{ machine *machine }

// Begin begins an evaluation. The input is nil where there is none. The context is
// given to builtins; what ends a query is its limit.
func (p *Program) Begin(ctx context.Context, input *ast.Term) *Evaluation {
	m, _ := p.idle.Get().(*machine)
	if m == nil || len(m.memory.rules) < p.rules {
		m = newMachine(p)
	}
	m.begin(ctx, input)
	return &Evaluation{m}
}

// End is called when nothing of the evaluation is used any more, nor of what its queries
// have given. After an error that need not be.
func (e *Evaluation) End() {
	m := e.machine
	if m.err != nil {
		return
	}
	m.end()
	m.program.idle.Put(m)
}

// Run evaluates a query and yields its solutions. The error is of topdown's where
// the evaluation is to blame: of its cancellation where the limit was reached, of a
// conflict of rules, or a builtin's.
func (q *Query) Run(e *Evaluation, limit Limit, yield func(Result) error) error {
	m := e.machine
	m.limit, m.yield = limit, yield
	f, before := m.enter(q.size)
	defer m.leave(before)
	q.run(m, f)
	return m.err
}

func int64JSON(n int64) json.Number { return json.Number(strconv.FormatInt(n, 10)) }
