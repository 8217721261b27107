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

// run asks the policy. It ends soon after ctx does or the budget is spent, unless
// that is zero.
func (a *asked) run(ctx context.Context, e *plan.Evaluation, budget time.Duration) (result plan.Result, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = panics.Error(cause)
		}
	}()
	results := 0
	err = a.query.Run(e, limit(ctx, budget), func(r plan.Result) error {
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

// limit says when an evaluation has had its time.
func limit(ctx context.Context, budget time.Duration) plan.Limit {
	if budget == 0 {
		return func() bool { return ctx.Err() != nil }
	}
	start := time.Now()
	return func() bool { return ctx.Err() != nil || time.Since(start) >= budget }
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
