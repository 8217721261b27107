package rego

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy/internal/panics"
)

// maxQueries bounds the queries that a judge keeps. There is one for each set of
// change fields that was ever seen together, and plugins choose those sets.
const maxQueries = 64

// Judge asks policies of a program. It is safe for concurrent use.
type Judge struct {
	program  *Program
	asked    []*asked // by name
	relevant fieldSet // fields that some policy needs
	encoder  *encoder
	base     documents
	store    storage.Store
	txn      storage.Transaction
	queries  sync.Map // fieldSet -> *query
	kept     atomic.Int64
}

// Judge returns a judge that asks the policies with these enforcements, by name;
// a policy that is not named is enforced as its metadata says, and one that is
// [engine.Off] is not asked.
func (p *Program) Judge(ctx context.Context, enforcement map[string]engine.Enforcement) (*Judge, error) {
	j := &Judge{program: p, base: documents{p.data}}
	rules := map[*ast.Rule]bool{}
	for i, x := range p.policies {
		e, ok := enforcement[x.Name]
		if !ok {
			e = x.Enforcement
		}
		if e == engine.Off {
			continue
		}
		j.asked = append(j.asked, newAsked(x, e, i))
		for _, n := range x.needs {
			j.relevant |= n
		}
		maps.Copy(rules, x.rules)
	}
	for name := range enforcement {
		if !slices.ContainsFunc(p.policies, func(x *policy) bool { return x.Name == name }) {
			return nil, fmt.Errorf("there is no policy %q", name)
		}
	}
	j.encoder = newEncoder(readPaths(p.compiler, rules))
	j.store = inmem.NewFromASTObject(p.data)
	txn, err := j.store.NewTransaction(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the store of documents: %w", err)
	}
	j.txn = txn
	return j, nil
}

// Judge asks every policy that the changes of the review concern, all in one
// query. Where that fails each is asked alone, so that the failure gets a name and
// the others get their say: one half of the time until the deadline is for the
// query, the other for that.
//
// It returns by the deadline even where a policy does not: its evaluation then
// ends by itself, without anybody waiting for it.
func (j *Judge) Judge(ctx context.Context, r *engine.Review) engine.Verdict {
	q := j.query(j.present(r))
	if len(q.asked) == 0 {
		return engine.Verdict{}
	}
	if ctx.Err() != nil {
		return late(q)
	}
	done := make(chan engine.Verdict, 1)
	go func() {
		reserveStack()
		done <- j.judge(ctx, q, r)
	}()
	select {
	case v := <-done:
		return v
	case <-ctx.Done():
	}
	return late(q)
}

// present are the change fields that the review has, as far as they matter to
// some policy. A field that does not exist could be any of them.
func (j *Judge) present(r *engine.Review) fieldSet {
	var set fieldSet
	var last engine.Field
	for _, c := range r.Changes { // sorted by field
		if c.Field == last {
			continue
		}
		bit := fieldBit(c.Field)
		if bit == 0 {
			return j.relevant
		}
		set |= bit
		last = c.Field
	}
	return set & j.relevant
}

// query returns the query for reviews that have these fields.
func (j *Judge) query(present fieldSet) *query {
	if q, ok := j.queries.Load(present); ok {
		return q.(*query)
	}
	q := &query{}
	for _, a := range j.asked {
		if a.concerned(present) {
			q.add(a)
		}
	}
	if j.kept.Add(1) <= maxQueries {
		j.queries.Store(present, q)
	}
	return q
}

// reserveStack makes the new goroutine's stack as large as an evaluation needs it.
// Growing and copying it step by step takes a fifth of the time of a decision.
//
//go:noinline
func reserveStack() { touch(&[64 << 10]byte{}) }

//go:noinline
func touch(room *[64 << 10]byte) { room[0] = 1 }

// judge asks all in batches, and one by one where that fails.
func (j *Judge) judge(ctx context.Context, q *query, r *engine.Review) engine.Verdict {
	input, err := j.encode(r)
	if err != nil {
		return engine.Verdict{Failures: []engine.Failure{{Message: "the review could not be shown to the policies: " + err.Error()}}}
	}
	var v engine.Verdict
	var alone []*asked
	rules := topdown.NewVirtualCache() // what one batch found others need not find again
	for i, b := range q.batches {
		result, err := j.run(ctx, b.body, input, rules, share(ctx, 2*len(q.batches)-i))
		switch {
		case err == nil:
			for _, a := range b.asked {
				a.answer(result, &v)
			}
		case len(q.asked) == 1:
			v.Failures = append(v.Failures, b.asked[0].failure(err))
		default:
			alone = append(alone, b.asked...)
			rules = topdown.NewVirtualCache()
		}
	}
	for i, a := range alone {
		// One share is left at the end, for the decision itself.
		result, err := j.run(ctx, a.alone, input, nil, share(ctx, len(alone)-i+1))
		if err != nil {
			v.Failures = append(v.Failures, a.failure(err))
			continue
		}
		a.answer(result, &v)
	}
	return v
}

// encode turns the review into input. The encoder panics with an error where the
// review is none that a border builds.
func (j *Judge) encode(r *engine.Review) (input *ast.Term, err error) {
	defer func() {
		switch cause := recover().(type) {
		case nil:
		case runtime.Error:
			err = panics.Error(cause)
		case error:
			err = cause
		default:
			err = panics.Error(cause)
		}
	}()
	return ast.NewTerm(j.encoder.encode(r)), nil
}

// late is the verdict when nobody answered in time.
func late(q *query) engine.Verdict {
	var v engine.Verdict
	for _, a := range q.asked {
		v.Failures = append(v.Failures, a.failure(errLate))
	}
	return v
}

// documents are the data documents, as the evaluation looks them up. They do not
// change, so that nothing is ever put there.
type documents struct{ ast.Object }

// Get implements [topdown.BaseCache].
func (d documents) Get(ref ast.Ref) ast.Value {
	value, err := d.Find(ref[1:])
	if err != nil {
		return nil
	}
	return value
}

// Put implements [topdown.BaseCache].
func (documents) Put(ast.Ref, ast.Value) {}
