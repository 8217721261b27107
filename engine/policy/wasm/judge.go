package wasm

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/document"
	"github.com/nri-guard/nri-guard/engine/policy/internal/panics"
)

// Requester is what [engine.Review.Messages] has to be for a policy of NRI's
// convention: it gives the changes under review as the request that NRI's own
// validators get, in the form that a merged adjustment has, with the plugins that
// own each change. Nobody modifies it.
type Requester interface {
	ValidateRequest() *api.ValidateContainerAdjustmentRequest
}

// Judge asks every policy, one after the other. A policy whose turn does not come
// before ctx ends is a failure.
func (p *Program) Judge(ctx context.Context, r *engine.Review) engine.Verdict {
	q := &question{review: r, wires: p.wires}
	var v engine.Verdict
	if len(p.asked) > 0 {
		v.Costs = make([]engine.Cost, 0, len(p.asked))
	}
	for _, a := range p.asked {
		if a.abi == abiNRI && r.Operation == engine.RegisterPlugin {
			continue // there is no adjustment to validate
		}
		fuel, err := a.judge(ctx, q, &v)
		v.Costs = append(v.Costs, engine.Cost{Policy: a.config.Name, Fuel: fuel})
		if err != nil {
			v.Failures = append(v.Failures, engine.Failure{Policy: a.config.Name, Message: err.Error(), Enforcement: a.enforcement})
		}
	}
	return v
}

// judge asks one policy, and waits for it no longer than until the deadline.
func (a asked) judge(ctx context.Context, q *question, v *engine.Verdict) (fuel uint64, err error) {
	if ctx.Err() != nil {
		return 0, errLate
	}
	request, err := q.request(a.module)
	if err != nil {
		return 0, err
	}
	x := exchange{asked: a, review: q.review, request: request}
	if !a.box.interpreted {
		x.run(ctx)
	} else if err := x.runWithin(ctx); err != nil {
		return 0, err
	}
	v.Violations = append(v.Violations, x.violations...)
	return x.fuel, x.err
}

// question is a review in the forms in which policies are shown it, made once.
type question struct {
	review   *engine.Review
	wires    *sync.Pool
	message  []byte // protobuf, nil until it is needed
	document []byte // JSON, nil until it is needed
}

var errNoMessages = errors.New("it was not made of NRI's messages, without which a policy of NRI's convention cannot be asked; the record of a decision has none")

// request returns the form that a module is shown.
func (q *question) request(m *module) (request []byte, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("the review could not be shown to it: %w", panics.Error(cause))
		}
	}()
	form, made := &q.message, q.makeMessage
	if m.abi == abiCommand {
		form, made = &q.document, q.makeDocument
	}
	if *form == nil {
		if *form, err = made(); err != nil {
			return nil, fmt.Errorf("the review could not be shown to it: %w", err)
		}
	}
	if most := m.config.RequestBytes; len(*form) > most {
		return nil, fmt.Errorf("the request has %d bytes, more than the %d that requestBytes allows", len(*form), most)
	}
	return *form, nil
}

func (q *question) makeMessage() ([]byte, error) {
	requester, ok := q.review.Messages.(Requester)
	if !ok {
		return nil, errNoMessages
	}
	w := q.wires.Get().(*wire)
	defer q.wires.Put(w)
	return w.marshal(requester.ValidateRequest())
}

func (q *question) makeDocument() ([]byte, error) {
	return document.Marshal(q.review, document.Options{})
}
