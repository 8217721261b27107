package nri

import (
	"context"

	"github.com/containerd/nri/pkg/adaptation/builtin"
	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
)

// The guard's own name among NRI's plugins. Validators are asked in parallel, so
// that the index matters to readers only.
const (
	GuardName  = "nri-guard"
	GuardIndex = "99"
)

// DefaultValidator is the name of the validator that is part of NRI, whose index is 00.
const DefaultValidator = "default-validator"

// guard is the part of the integration that NRI knows, as one of its built-in
// plugins.
type guard struct{ judge *Judge }

func newGuard(e *engine.Engine, b Border) *guard {
	b.Self = []engine.Plugin{{Name: GuardName, Index: GuardIndex}}
	return &guard{NewJudge(e, b)}
}

// plugin is subscribed to validation and nothing else: NRI drops a plugin that
// is late with another event, and then it validates no more.
func (g *guard) plugin() *builtin.BuiltinPlugin {
	return &builtin.BuiltinPlugin{
		Base:  GuardName,
		Index: GuardIndex,
		Handlers: builtin.BuiltinHandlers{
			Configure:                   g.configure,
			ValidateContainerAdjustment: g.validate,
		},
	}
}

func (g *guard) configure(_ context.Context, req *api.ConfigureRequest) (*api.ConfigureResponse, error) {
	g.judge.Configure(req)
	return &api.ConfigureResponse{}, nil
}

// question is how the caller of NRI's CreateContainer learns the decision that
// the validator made on the way. The zero value has no answer.
type question struct{ decision *engine.Decision }

type questionKey struct{}

// validate judges a merged adjustment. Its error is the reason of a rejection.
func (g *guard) validate(ctx context.Context, req *api.ValidateContainerAdjustmentRequest) (err error) {
	defer recovered(ctx, &err)
	d := g.judge.Decide(ctx, engine.CreateContainer, func(b *Border) *engine.Review { return b.Adjustment(req) })
	if q, ok := ctx.Value(questionKey{}).(*question); ok {
		q.decision = d
	}
	return d.Err(engine.CreateContainer)
}
