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

// run asks the policy. It ends soon after the limit is reached.
func (a *asked) run(e *plan.Evaluation, limit plan.Limit) (result answer, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = panics.Error(cause)
		}
	}()
	results := 0
	err = a.query.Run(e, limit, func(r plan.Result) error {
		results++
		result = answer{r.Get(denied), r.Get(warned)}
		return nil
	})
	switch {
	case topdown.IsCancel(err):
		return answer{}, errLate
	case err != nil:
		return answer{}, err
	case results != 1:
		return answer{}, fmt.Errorf("it gave %d answers instead of one", results)
	}
	return result, nil
}

// budget is the time that an evaluation has.
type budget struct {
	ctx  context.Context
	ends time.Time // zero: with ctx
}

// spent says whether it has had its time.
func (b *budget) spent() bool {
	return b.ctx.Err() != nil || !b.ends.IsZero() && !time.Now().Before(b.ends)
}

// share begins the share of one of n takers of the time that is left until the deadline.
func (b *budget) share(n int) {
	deadline, ok := b.ctx.Deadline()
	if !ok {
		return
	}
	now := time.Now()
	b.ends = now.Add(max(deadline.Sub(now)/time.Duration(n), 1))
}
