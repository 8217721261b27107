package rego

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy/internal/panics"
)

// asked is a policy that is not off.
type asked struct {
	*policy
	enforcement engine.Enforcement
	deny, warn  question
	alone       ast.Body
}

// question is a rule and the variable that holds the answer.
type question struct {
	rule, answer *ast.Term
	variable     ast.Var
}

func newAsked(p *policy, e engine.Enforcement, i int) *asked {
	ask := func(rule string) question {
		v := ast.Var(rule + strconv.Itoa(i))
		return question{rule: ast.NewTerm(ruleRef(p.Name, rule)), answer: ast.NewTerm(v), variable: v}
	}
	a := &asked{policy: p, enforcement: e, deny: ask(denyRule), warn: ask(warnRule)}
	a.appendTo(&a.alone)
	return a
}

// appendTo adds the policy's questions to a query. An expression belongs to one
// query, where it has its place; what it is made of is shared.
func (a *asked) appendTo(body *ast.Body) {
	body.Append(ast.Equality.Expr(a.deny.rule, a.deny.answer))
	if a.warns {
		body.Append(ast.Equality.Expr(a.warn.rule, a.warn.answer))
	}
}

// query asks all the policies that a review concerns, several at once.
type query struct {
	asked   []*asked
	batches []batch
}

// batchSize is how many policies are asked in one evaluation. Evaluating an
// expression means to call what evaluates the next, so that with many the stack
// grows and is copied: a thousand at once take ten times as long as in batches.
const batchSize = 16

// batch is asked in one evaluation.
type batch struct {
	body  ast.Body
	asked []*asked
}

func (q *query) add(a *asked) {
	if len(q.asked)%batchSize == 0 {
		q.batches = append(q.batches, batch{})
	}
	last := &q.batches[len(q.batches)-1]
	a.appendTo(&last.body)
	last.asked = append(last.asked, a)
	q.asked = append(q.asked, a)
}

// errLate is given for a policy that had no answer in its time.
var errLate = errors.New("it had no answer in time")

// run evaluates a query. It ends soon after ctx does or the budget is spent,
// unless that is zero.
func (j *Judge) run(ctx context.Context, body ast.Body, input *ast.Term, rules topdown.VirtualCache, budget time.Duration) (result topdown.QueryResult, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = panics.Error(cause)
		}
	}()
	cancel := topdown.NewCancel()
	defer context.AfterFunc(ctx, cancel.Cancel)()
	if budget > 0 {
		defer time.AfterFunc(budget, cancel.Cancel).Stop()
	}
	results := 0
	err = topdown.NewQuery(body).
		WithCompiler(j.program.compiler).
		WithStore(j.store).
		WithTransaction(j.txn).
		WithBaseCache(j.base).
		WithVirtualCache(rules).
		WithInput(input).
		WithCancel(cancel).
		WithStrictBuiltinErrors(true).
		WithMetrics(metrics.NoOp()).
		Iter(ctx, func(r topdown.QueryResult) error {
			results++
			result = r
			return nil
		})
	switch {
	case topdown.IsCancel(err):
		return nil, errLate
	case err != nil:
		return nil, err
	case results != 1:
		return nil, fmt.Errorf("it gave %d answers instead of one", results)
	}
	return result, nil
}

// share returns what part of the time that is left until the deadline each of n
// takers gets; 0 where there is no deadline.
func share(ctx context.Context, n int) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return max(time.Until(deadline)/time.Duration(n), 1)
}
