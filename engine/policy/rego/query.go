package rego

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy/internal/panics"
	"github.com/nri-guard/nri-guard/engine/policy/rego/internal/plan"
)

// The variables of a policy's query that hold the answers.
const (
	denied = ast.Var("denied")
	warned = ast.Var("warned")
)

// question asks for what the rules of a policy say.
func (p *policy) question() ast.Body {
	ask := func(rule string, answer ast.Var) *ast.Expr {
		return ast.Equality.Expr(ast.NewTerm(ruleRef(p.Name, rule)), ast.NewTerm(answer))
	}
	body := ast.NewBody(ask(denyRule, denied))
	if p.warns {
		body.Append(ask(warnRule, warned))
	}
	return body
}

// asked is a policy that is not off.
type asked struct {
	*policy
	enforcement engine.Enforcement
}

// errLate is given for a policy that had no answer in its time.
var errLate = errors.New("it had no answer in time")

// evaluation is what policies share that are asked about one input.
type evaluation struct {
	*plan.Evaluation
	// What the policy that is being asked gave, and how often.
	answer  answer
	answers int
	take    func(plan.Result) error
}

func (p *Program) begin(ctx context.Context, input *ast.Term) *evaluation {
	e := &evaluation{Evaluation: p.plan.Begin(ctx, input)}
	e.take = func(r plan.Result) error {
		e.answers++
		e.answer = answer{r.Get(denied), r.Get(warned)}
		return nil
	}
	return e
}

// run asks the policy. It ends soon after the limit is reached.
func (a *asked) run(e *evaluation, limit plan.Limit) (result answer, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = panics.Error(cause)
		}
	}()
	e.answers = 0
	err = a.query.Run(e.Evaluation, limit, e.take)
	switch {
	case topdown.IsCancel(err):
		return answer{}, errLate
	case err != nil:
		return answer{}, err
	case e.answers != 1:
		return answer{}, fmt.Errorf("it gave %d answers instead of one", e.answers)
	}
	return e.answer, nil
}

// budget is the time that an evaluation has.
type budget struct {
	ctx    context.Context
	takers int       // of the time that is left, this one included
	ends   time.Time // of its share; zero where nobody has looked yet
}

// share begins the share of one of n takers of the time that is left until the deadline.
// It counts from when it is first looked at: most are done by then.
func (b *budget) share(n int) { b.takers, b.ends = n, time.Time{} }

// spent says whether it has had its time.
func (b *budget) spent() bool {
	if b.ctx.Err() != nil {
		return true
	}
	deadline, ok := b.ctx.Deadline()
	if !ok {
		return false
	}
	now := time.Now()
	if b.ends.IsZero() {
		b.ends = now.Add(deadline.Sub(now) / time.Duration(b.takers))
	}
	return !now.Before(b.ends)
}
