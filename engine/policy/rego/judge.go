package rego

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/internal/stack"
	"github.com/nri-guard/nri-guard/engine/policy/rego/internal/input"
	"github.com/nri-guard/nri-guard/engine/policy/rego/internal/plan"
)

// maxKept bounds the lists of policies that a judge keeps. There is one for each
// set of change fields that was ever seen together, and plugins choose those sets.
const maxKept = 64

// Judge asks policies of a program. It is safe for concurrent use.
type Judge struct {
	program   *Program
	asked     []*asked // by name
	relevant  fieldSet // fields that some policy needs
	concerned sync.Map // fieldSet -> []*asked
	kept      atomic.Int64
}

// Judge returns a judge that asks the policies with these enforcements, by name;
// a policy that is not named is enforced as its metadata says, and one that is
// [engine.Off] is not asked.
func (p *Program) Judge(enforcement map[string]engine.Enforcement) (*Judge, error) {
	j := &Judge{program: p}
	for _, x := range p.policies {
		e, ok := enforcement[x.Name]
		if !ok {
			e = x.Enforcement
		}
		if e == engine.Off {
			continue
		}
		j.asked = append(j.asked, &asked{x, e})
		for _, n := range x.needs {
			j.relevant |= n
		}
	}
	for name := range enforcement {
		if !slices.ContainsFunc(p.policies, func(x *policy) bool { return x.Name == name }) {
			return nil, fmt.Errorf("there is no policy %q", name)
		}
	}
	return j, nil
}

// Judge asks every policy that the changes of the review concern, one after the
// other. One that has no answer in its share of half of the time until the deadline
// is asked again when the others have had their say.
//
// It returns by the deadline even where a policy does not: the evaluation of that one ends
// by itself, without anybody waiting for it, and reads nothing of the review any more.
// Where ctx is [engine.Unwatched] it is waited for.
func (j *Judge) Judge(ctx context.Context, r *engine.Review) engine.Verdict {
	list := j.concern(j.present(r))
	if len(list) == 0 {
		return engine.Verdict{}
	}
	if ctx.Err() != nil {
		return late(list)
	}
	watched := !engine.Unwatched(ctx)
	in, err := input.New(r, watched)
	if err != nil {
		return engine.Verdict{Failures: []engine.Failure{{Message: "the review could not be shown to the policies: " + err.Error()}}}
	}
	if !watched {
		return released(in, j.judge(ctx, list, in.Term()))
	}
	done := make(chan engine.Verdict, 1)
	go func() {
		stack.Reserve()
		done <- j.judge(ctx, list, in.Term())
	}()
	select {
	case v := <-done:
		return released(in, v)
	case <-ctx.Done():
	}
	in.Close()
	return late(list)
}

// released releases the input of a verdict, unless a policy failed, which may have left
// somebody behind who looks at it.
func released(in *input.Input, v engine.Verdict) engine.Verdict {
	if len(v.Failures) == 0 {
		in.Release()
	}
	return v
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

// concern returns the policies that reviews concern that have these fields.
func (j *Judge) concern(present fieldSet) []*asked {
	if list, ok := j.concerned.Load(present); ok {
		return list.([]*asked)
	}
	var list []*asked
	for _, a := range j.asked {
		if a.concerned(present) {
			list = append(list, a)
		}
	}
	if j.kept.Add(1) <= maxKept {
		j.concerned.Store(present, list)
	}
	return list
}

// judge asks the policies, and those that are late once more.
func (j *Judge) judge(ctx context.Context, list []*asked, input *ast.Term) engine.Verdict {
	round := &round{Judge: j, input: input, budget: budget{ctx: ctx}}
	round.limit = round.spent
	slow := list
	if len(list) > 1 {
		slow = round.ask(list, len(list))
	}
	for _, a := range round.ask(slow, 1) {
		round.verdict.Failures = append(round.verdict.Failures, a.failure(errLate))
	}
	if round.evaluation != nil {
		round.evaluation.End()
	}
	return round.verdict
}

// round is the asking of policies about one review.
type round struct {
	*Judge
	budget
	limit      plan.Limit
	input      *ast.Term
	evaluation *evaluation // what one policy found others need not find again
	verdict    engine.Verdict
}

// ask asks policies one after the other, each of which gets its share of the time,
// and returns those that were late. Some shares are left at the end.
func (r *round) ask(list []*asked, left int) (slow []*asked) {
	for i, a := range list {
		if r.evaluation == nil {
			r.evaluation = r.program.begin(r.ctx, r.input)
		}
		r.share(len(list) - i + left)
		result, err := a.run(r.evaluation, r.limit)
		if err == nil {
			a.answer(result, &r.verdict)
			continue
		}
		r.evaluation = nil
		if errors.Is(err, errLate) {
			slow = append(slow, a)
			continue
		}
		r.verdict.Failures = append(r.verdict.Failures, a.failure(err))
	}
	return slow
}

// late is the verdict when nobody answered in time.
func late(list []*asked) engine.Verdict {
	var v engine.Verdict
	for _, a := range list {
		v.Failures = append(v.Failures, a.failure(errLate))
	}
	return v
}
