package proxy

import (
	"context"
	"time"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/internal/deadline"
	"github.com/nri-guard/nri-guard/engine/nri"
	"github.com/nri-guard/nri-guard/engine/nri/proxy/internal/wire"
)

// answer is what becomes of a plugin's answer. The zero value lets it pass as it
// is.
type answer struct {
	// instead is relayed instead.
	instead proto.Message
	// refused is what the runtime is told instead.
	refused error
	// fatal is why the connection is closed after that.
	fatal error
}

// judge has an answer judged and relays what comes out. A plugin's own error
// passes: the runtime looks at nothing else then.
func (l *link) judge(c *call, m wire.Message) error {
	rsp := &ttrpc.Response{}
	if err := unmarshal(m.Payload, rsp); err != nil {
		return err
	}
	if rsp.GetStatus().GetCode() != int32(codes.OK) {
		return l.toRuntime.Write(m)
	}
	c.answer = func(a *answer) error { return l.answer(m, rsp, a) }
	a, err := c.method.judge(l, c, rsp.GetPayload())
	if err != nil || a == nil {
		return err
	}
	return c.answer(a)
}

// answer relays what became of a plugin's answer.
func (l *link) answer(m wire.Message, rsp *ttrpc.Response, a *answer) error {
	switch {
	case a.refused != nil:
		m = refusal(m, codes.PermissionDenied, a.refused.Error())
	case a.instead != nil:
		payload, err := proto.Marshal(a.instead)
		if err != nil {
			return err
		}
		m = response(m, &ttrpc.Response{Status: rsp.GetStatus(), Payload: payload})
	}
	if a.fatal != nil {
		l.blame(from("the plugin", a.fatal)) // the runtime may hang up when it is told
	}
	if err := l.toRuntime.Write(m); err != nil {
		return err
	}
	return a.fatal
}

// created judges what a plugin wants of a container that is being created.
func (l *link) created(c *call, payload []byte) (*answer, error) {
	rpl := &api.CreateContainerResponse{}
	if err := unmarshal(payload, rpl); err != nil {
		return nil, err
	}
	req, err := asked[*api.CreateContainerRequest](c)
	if err != nil {
		return nil, err
	}
	refuse := func(d *engine.Decision) *answer { return &answer{refused: d.Err(engine.CreateContainer)} }
	d := l.decideCall(engine.CreateContainer, c, rpl, refuse, func(b *nri.Border) *engine.Review {
		return b.Reply(nri.Reply{
			Plugin: l.plugin, Pod: req.GetPod(), Container: req.GetContainer(),
			Adjust: rpl.GetAdjust(), Update: rpl.GetUpdate(), Evict: rpl.GetEvict(),
		})
	})
	switch {
	case d == nil:
		return nil, nil // it was too late
	case !d.Allowed:
		return refuse(d), nil
	}
	l.approve(d.Approved)
	if len(d.Stripped) == 0 {
		return &answer{}, nil
	}
	adjust, update := nri.Approved(d)
	return &answer{instead: &api.CreateContainerResponse{Adjust: adjust, Update: update, Evict: nri.ApprovedEvictions(d)}}, nil
}

// updated judges what a plugin makes of an update that the runtime was asked for.
func (l *link) updated(c *call, payload []byte) (*answer, error) {
	rpl := &api.UpdateContainerResponse{}
	if err := unmarshal(payload, rpl); err != nil {
		return nil, err
	}
	req, err := asked[*api.UpdateContainerRequest](c)
	if err != nil {
		return nil, err
	}
	if len(payload) == 0 {
		return &answer{}, nil
	}
	refuse := func(d *engine.Decision) *answer { return &answer{refused: d.Err(engine.UpdateContainer)} }
	d := l.decideCall(engine.UpdateContainer, c, rpl, refuse, func(b *nri.Border) *engine.Review {
		return b.Updates(nri.Updates{
			Operation: engine.UpdateContainer, Plugin: l.plugin,
			Pod: req.GetPod(), Container: req.GetContainer(), Requested: req.GetLinuxResources(),
			Update: rpl.GetUpdate(), Evict: rpl.GetEvict(),
		})
	})
	switch {
	case d == nil:
		return nil, nil // it was too late
	case !d.Allowed:
		return refuse(d), nil
	}
	if len(d.Stripped) == 0 {
		return &answer{}, nil
	}
	_, update := nri.Approved(d)
	return &answer{instead: &api.UpdateContainerResponse{Update: update, Evict: nri.ApprovedEvictions(d)}}, nil
}

// stopped judges the updates that a plugin asks for when a container stops. An
// error would keep the runtime from telling other plugins: what is denied is left
// out.
func (l *link) stopped(c *call, payload []byte) (*answer, error) {
	rpl := &api.StopContainerResponse{}
	if err := unmarshal(payload, rpl); err != nil {
		return nil, err
	}
	req, err := asked[*api.StopContainerRequest](c)
	if err != nil {
		return nil, err
	}
	if len(payload) == 0 {
		return &answer{}, nil
	}
	return l.attempt(c, rpl, nri.Updates{
		Operation: engine.StopContainer, Plugin: l.plugin,
		Pod: req.GetPod(), Container: req.GetContainer(), Update: rpl.GetUpdate(),
	}, func(update []*api.ContainerUpdate) proto.Message { return &api.StopContainerResponse{Update: update} }), nil
}

// synchronized judges the updates that a plugin asks for when it learns what
// exists. An error would make the runtime drop it: what is denied is left out.
func (l *link) synchronized(c *call, payload []byte) (*answer, error) {
	rpl := &api.SynchronizeResponse{}
	if err := unmarshal(payload, rpl); err != nil {
		return nil, err
	}
	l.join()
	if len(rpl.GetUpdate()) == 0 && len(rpl.ProtoReflect().GetUnknown()) == 0 {
		return &answer{}, nil
	}
	return l.attempt(c, rpl, nri.Updates{
		Operation: engine.Synchronize, Plugin: l.plugin, Update: rpl.GetUpdate(),
	}, func(update []*api.ContainerUpdate) proto.Message {
		return &api.SynchronizeResponse{Update: update, More: rpl.GetMore()}
	}), nil
}

// attempt judges updates that are left out when they are denied. Reply makes the
// answer of those that are left.
func (l *link) attempt(c *call, rpl proto.Message, u nri.Updates, reply func([]*api.ContainerUpdate) proto.Message) *answer {
	without := func(d *engine.Decision) *answer {
		log.G(l.ctx).WithError(d.Err(u.Operation)).
			Warnf("Updates that a plugin asks for in reply to %s are left out", u.Operation)
		return &answer{instead: reply(nil)}
	}
	d := l.decideCall(u.Operation, c, rpl, without, func(b *nri.Border) *engine.Review { return b.Updates(u) })
	switch {
	case d == nil:
		return nil // it was too late
	case !d.Allowed:
		return without(d)
	case len(d.Stripped) == 0:
		return &answer{}
	}
	_, update := nri.Approved(d)
	return &answer{instead: reply(update)}
}

// judgeUnsolicited judges updates that a plugin asks for by itself, one request at a
// time. They are not in a hurry: whatever a plugin asks for, there are processors
// left for what the runtime waits for.
func (l *link) judgeUnsolicited(m wire.Message, req *ttrpc.Request, size int) error {
	until := waited(req)
	if !l.asking.take(l.ctx, l.silent) {
		l.asks.drop(size)
		return nil
	}
	d, err := l.decideUnsolicited(req, size, until)
	l.asking.release()
	if err != nil || d == nil {
		l.asks.drop(size)
		return err
	}
	if err := d.Err(engine.UpdateContainers); err != nil {
		l.asks.drop(size)
		return l.toPlugin.Write(refusal(m, codes.PermissionDenied, err.Error()))
	}
	_, update := nri.Approved(d)
	payload, err := proto.Marshal(&api.UpdateContainersRequest{Update: update, Evict: nri.ApprovedEvictions(d)})
	if err != nil {
		return err
	}
	req.Payload = payload
	return l.forward(ask{stream: m.Stream}, req, size)
}

// decideUnsolicited waits until the updates may be judged, and looks at them only then.
// The plugin waits until the time given, zero is forever. The decision is nil when it has
// gone before.
func (l *link) decideUnsolicited(req *ttrpc.Request, size int, until time.Time) (*engine.Decision, error) {
	if !l.wait(l.pace.delay(worth(req.GetPayload(), size), time.Now())) || !l.proxy.asking.take(l.ctx, l.silent, l.process()) {
		return nil, nil
	}
	defer l.proxy.asking.release()
	updates := &api.UpdateContainersRequest{}
	if err := unmarshal(req.GetPayload(), updates); err != nil {
		return nil, err
	}
	ctx := l.ctx
	if !until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = deadline.With(ctx, time.Until(until)*7/8) // the rest is for telling
		defer cancel()
	}
	return l.judges.Decide(ctx, engine.UpdateContainers, l.scrutinised(updates, func(b *nri.Border) *engine.Review {
		return b.Updates(nri.Updates{
			Operation: engine.UpdateContainers, Plugin: l.plugin,
			Update: updates.GetUpdate(), Evict: updates.GetEvict(),
		})
	})), nil
}

// burst is how many updates a plugin may save up for, as many as there may be in
// one list.
const burst = 4096

// updateSize is how much of a request counts as an update: they take less, most of them.
const updateSize = 1 << 10

// worth is how many updates a request counts as.
func worth(payload []byte, size int) int {
	n := 1
	for len(payload) > 0 {
		_, _, field := protowire.ConsumeField(payload)
		if field < 0 {
			break // it cannot be read, which is found when it is
		}
		payload = payload[field:]
		n++
	}
	return max(n, size/updateSize)
}

// wait lets time pass, and says whether the plugin is still there.
func (l *link) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-l.silent:
	case <-l.ctx.Done():
	}
	return false
}

// decideCall decides about the answer to a request of the runtime. If that takes too
// long, the runtime is given what denied makes of a denial, and the decision is nil.
func (l *link) decideCall(op engine.Operation, c *call, m proto.Message, denied func(*engine.Decision) *answer, build func(*nri.Border) *engine.Review) *engine.Decision {
	if c.deadline.IsZero() {
		return l.judges.Decide(l.ctx, op, l.scrutinised(m, build))
	}
	// An eighth of what is left is for telling.
	ctx, cancel := deadline.With(l.ctx, time.Until(c.deadline)*7/8)
	defer cancel()
	return l.judges.DecidePromptly(ctx, op, l.scrutinised(m, build), func(d *engine.Decision) {
		if err := c.answer(denied(d)); err != nil {
			l.end(from("the plugin", err))
		}
	})
}

// scrutinised adds to a review what is wrong with the message.
func (l *link) scrutinised(m proto.Message, build func(*nri.Border) *engine.Review) func(*nri.Border) *engine.Review {
	return func(b *nri.Border) *engine.Review {
		r := build(b)
		r.Malformed = append(r.Malformed, strange(m)...)
		return r
	}
}
