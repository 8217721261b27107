package validator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
	"github.com/nri-guard/nri-guard/engine/nri/session"
)

// Name and index that a validator registers under when the configuration has none.
const (
	DefaultName  = nri.GuardName
	DefaultIndex = nri.GuardIndex
)

// Explainer holds a review of a merged adjustment against what has been approved
// before, plugin by plugin. It is safe for concurrent use.
type Explainer interface {
	// Explain fills in what is known of the plugins, and of who was let have each
	// change, and returns why parts of the review cannot be what was approved,
	// sorted; nothing when all is explained.
	Explain(r *engine.Review) (unexplained []string)
}

// Config says how to validate. Engine must be set.
type Config struct {
	// Engine decides. Its rules may be swapped at any time.
	Engine *engine.Engine
	// Socket is the path of the runtime's NRI socket; "" is NRI's default.
	Socket string
	// Name and Index to register under; [DefaultName] and [DefaultIndex] where they
	// are empty. required_plugins in the runtime's configuration goes by the name.
	Name, Index string
	// HostRoot is where the host's file system is found; see [nri.Border.HostRoot].
	HostRoot string
	// Lookup finds a container and its pod by id; see [nri.Border.Lookup]. Nil has
	// seen nothing: updates of other containers are denied.
	Lookup func(id string) (*api.PodSandbox, *api.Container)
	// Created, where it is set, is told of each container that may come to be, before
	// the runtime is answered; whether it does is not known then. It must not keep the
	// answer waiting, and the messages must not be modified.
	Created func(pod *api.PodSandbox, container *api.Container)
	// Ledger, where it is set, must explain every review: what it cannot explain is
	// malformed, and denied in every profile. Without it nobody knows the identity of
	// plugins.
	Ledger Explainer
	// Self are other plugins of the guard's own, such as its observer. They are not
	// held responsible for changes.
	Self []engine.Plugin
}

// Validator is made by [New].
type Validator struct {
	judge   *nri.Judge
	created func(*api.PodSandbox, *api.Container)
	ledger  Explainer
	session *session.Session
}

// New checks the configuration; it touches no socket.
func New(cfg Config) (*Validator, error) {
	if cfg.Engine == nil {
		return nil, errors.New("validator: there is no engine to decide: set Config.Engine")
	}
	self := engine.Plugin{Name: cmp.Or(cfg.Name, DefaultName), Index: cmp.Or(cfg.Index, DefaultIndex)}
	v := &Validator{
		judge: nri.NewJudge(cfg.Engine, nri.Border{
			HostRoot: cfg.HostRoot, Lookup: cfg.Lookup, NoStrip: true,
			Self: append(slices.Clone(cfg.Self), self),
		}),
		created: cfg.Created, ledger: cfg.Ledger,
	}
	var err error
	v.session, err = session.New(session.Config{
		Socket: cfg.Socket, Name: self.Name, Index: self.Index,
		Plugin:        handler{v},
		FailurePolicy: &api.FailurePolicy{FailRequest: true, KeepConnected: true},
		Configured:    v.judge.Configure,
	})
	if err != nil {
		return nil, fmt.Errorf("validator: %w", err)
	}
	return v, nil
}

// Run validates until ctx ends, and returns nil then, when the requests under way
// have been answered. It waits for a socket that is not there, and connects again
// whenever the connection is lost.
func (v *Validator) Run(ctx context.Context) error { return v.session.Run(ctx) }

// Status returns how the connection to the runtime stands.
func (v *Validator) Status() session.Status { return v.session.Status() }

// handler is what NRI's stub sees, and asks for nothing but this.
type handler struct{ v *Validator }

// ValidateContainerAdjustment judges a merged adjustment. Its error is the reason
// of a rejection.
func (h handler) ValidateContainerAdjustment(ctx context.Context, req *api.ValidateContainerAdjustmentRequest) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.G(ctx).WithField("stack", string(debug.Stack())).Errorf("panic while validating a container: %v", p)
			err = fmt.Errorf("nri-guard could not handle the request: %v", p)
		}
	}()
	decisions := make(chan *engine.Decision, 1) // there is one alone
	answer := func(d *engine.Decision) { decisions <- d }
	go func() {
		if d := h.v.judge.DecidePromptly(ctx, engine.CreateContainer, h.review(req), answer); d != nil {
			answer(d)
		}
	}()
	d := <-decisions
	if d.Allowed && h.v.created != nil {
		h.v.created(req.GetPod(), req.GetContainer())
	}
	return d.Err(engine.CreateContainer)
}

// review makes a review of a merged adjustment.
func (h handler) review(req *api.ValidateContainerAdjustmentRequest) func(*nri.Border) *engine.Review {
	return func(b *nri.Border) *engine.Review {
		r := b.Adjustment(req)
		if h.v.ledger != nil {
			r.Malformed = append(r.Malformed, h.v.ledger.Explain(r)...)
		}
		return r
	}
}
