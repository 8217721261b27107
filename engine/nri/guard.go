package nri

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/adaptation/builtin"
	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
)

// The guard's own name among NRI's plugins. Validators are asked in parallel, so
// that the index matters to readers only.
const (
	guardName  = "nri-guard"
	guardIndex = "99"
)

// guard has an engine decide what a border reads. It is the part of the
// integration that NRI knows, as one of its built-in plugins.
type guard struct {
	engine *engine.Engine
	terms  atomic.Pointer[terms]
}

// terms are what the runtime tells the guard when it configures its plugins.
type terms struct {
	border Border
	// limit bounds a decision.
	limit time.Duration
}

func newGuard(e *engine.Engine, b Border) *guard {
	g := &guard{engine: e}
	b.Self = []engine.Plugin{{Name: guardName, Index: guardIndex}}
	b.Places = &Places{}
	g.terms.Store(&terms{border: b, limit: api.DefaultPluginRequestTimeout / 2})
	return g
}

// plugin is subscribed to validation and nothing else: NRI drops a plugin that
// is late with another event, and then it validates no more.
func (g *guard) plugin() *builtin.BuiltinPlugin {
	return &builtin.BuiltinPlugin{
		Base:  guardName,
		Index: guardIndex,
		Handlers: builtin.BuiltinHandlers{
			Configure:                   g.configure,
			ValidateContainerAdjustment: g.validate,
		},
	}
}

// configure takes note of the runtime's name and of how long it waits for an
// answer; a decision may take half of that.
func (g *guard) configure(_ context.Context, req *api.ConfigureRequest) (*api.ConfigureResponse, error) {
	t := *g.terms.Load()
	t.border.Runtime = engine.Runtime{Name: req.GetRuntimeName(), Version: req.GetRuntimeVersion()}
	if wait := time.Duration(req.GetRequestTimeout()) * time.Millisecond; wait > 0 {
		t.limit = wait / 2
	}
	g.terms.Store(&t)
	return &api.ConfigureResponse{}, nil
}

// question is how the caller of NRI's CreateContainer learns the decision that
// the validator made on the way. The zero value has no answer.
type question struct{ decision *engine.Decision }

type questionKey struct{}

// validate judges a merged adjustment. Its error is the reason of a rejection.
func (g *guard) validate(ctx context.Context, req *api.ValidateContainerAdjustmentRequest) (err error) {
	defer recovered(ctx, &err)
	d := g.decide(ctx, engine.CreateContainer, func(b *Border) *engine.Review { return b.Adjustment(req) })
	if q, ok := ctx.Value(questionKey{}).(*question); ok {
		q.decision = d
	}
	return d.Err(engine.CreateContainer)
}

// decide has the review judged that build makes.
func (g *guard) decide(ctx context.Context, op engine.Operation, build func(*Border) *engine.Review) *engine.Decision {
	t := g.terms.Load()
	ctx, cancel := context.WithTimeout(ctx, t.limit)
	defer cancel()
	return g.engine.Decide(ctx, understand(ctx, op, func() *engine.Review { return build(&t.border) }))
}

// understand builds a review. Messages that cannot be read make a review that is
// malformed, and so denied and recorded.
func understand(ctx context.Context, op engine.Operation, build func() *engine.Review) (r *engine.Review) {
	var err error
	defer func() {
		if err != nil {
			r = &engine.Review{Version: engine.Version, Operation: op, Malformed: []string{err.Error()}}
		}
	}()
	defer recovered(ctx, &err)
	return build()
}

// recovered turns a panic into an error. It is deferred wherever NRI calls or is
// called: what a plugin sends must not end the daemon.
func recovered(ctx context.Context, err *error) {
	if p := recover(); p != nil {
		log.G(ctx).WithField("stack", string(debug.Stack())).Errorf("panic while handling an NRI request: %v", p)
		*err = fmt.Errorf("the request could not be handled: %v", p)
	}
}
