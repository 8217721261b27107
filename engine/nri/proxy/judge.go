package proxy

import (
	"context"
	"time"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
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
	a, err := c.method.judge(l, c, rsp.GetPayload())
	switch {
	case err != nil:
		return err
	case a.refused != nil:
		m = refusal(m, codes.PermissionDenied, a.refused.Error())
	case a.instead != nil:
		if rsp.Payload, err = proto.Marshal(a.instead); err != nil {
			return err
		}
		m = response(m, rsp)
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
	d := l.decide(engine.CreateContainer, c.deadline, rpl, func(b *nri.Border) *engine.Review {
		return b.Reply(nri.Reply{
			Plugin: l.plugin, Pod: req.GetPod(), Container: req.GetContainer(),
			Adjust: rpl.GetAdjust(), Update: rpl.GetUpdate(), Evict: rpl.GetEvict(),
		})
	})
	if err := d.Err(engine.CreateContainer); err != nil {
		return &answer{refused: err}, nil
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
	d := l.decide(engine.UpdateContainer, c.deadline, rpl, func(b *nri.Border) *engine.Review {
		return b.Updates(nri.Updates{
			Operation: engine.UpdateContainer, Plugin: l.plugin,
			Pod: req.GetPod(), Container: req.GetContainer(), Requested: req.GetLinuxResources(),
			Update: rpl.GetUpdate(), Evict: rpl.GetEvict(),
		})
	})
	if err := d.Err(engine.UpdateContainer); err != nil {
		return &answer{refused: err}, nil
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
	update, changed := l.attempt(c, rpl, payload, nri.Updates{
		Operation: engine.StopContainer, Plugin: l.plugin,
		Pod: req.GetPod(), Container: req.GetContainer(), Update: rpl.GetUpdate(),
	})
	if !changed {
		return &answer{}, nil
	}
	return &answer{instead: &api.StopContainerResponse{Update: update}}, nil
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
	update, changed := l.attempt(c, rpl, payload, nri.Updates{
		Operation: engine.Synchronize, Plugin: l.plugin, Update: rpl.GetUpdate(),
	})
	if !changed {
		return &answer{}, nil
	}
	return &answer{instead: &api.SynchronizeResponse{Update: update, More: rpl.GetMore()}}, nil
}

// attempt judges updates that are left out when they are denied, and says whether
// anything is different afterwards.
func (l *link) attempt(c *call, rpl proto.Message, payload []byte, u nri.Updates) (update []*api.ContainerUpdate, changed bool) {
	if len(payload) == 0 {
		return nil, false
	}
	d := l.decide(u.Operation, c.deadline, rpl, func(b *nri.Border) *engine.Review { return b.Updates(u) })
	if err := d.Err(u.Operation); err != nil {
		log.G(l.ctx).WithError(err).
			Warnf("Updates that a plugin asks for in reply to %s are left out", u.Operation)
		return nil, true
	}
	_, update = nri.Approved(d)
	return update, len(d.Stripped) > 0
}

// judgeUnsolicited judges updates that a plugin asks for by itself, one request at a
// time. They are not in a hurry: whatever a plugin asks for, there are processors
// left for what the runtime waits for.
func (l *link) judgeUnsolicited(m wire.Message, req *ttrpc.Request, size int) error {
	var deadline time.Time
	if t := req.GetTimeoutNano(); t > 0 {
		deadline = time.Now().Add(time.Duration(t))
	}
	if !l.asking.take(l.ctx, l.silent) {
		l.asks.drop(size)
		return nil
	}
	d, err := l.decideUnsolicited(req, deadline)
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

// decideUnsolicited waits until the updates may be judged. The decision is nil when
// the plugin has gone before.
func (l *link) decideUnsolicited(req *ttrpc.Request, deadline time.Time) (*engine.Decision, error) {
	updates := &api.UpdateContainersRequest{}
	if err := unmarshal(req.GetPayload(), updates); err != nil {
		return nil, err
	}
	n := 1 + len(updates.GetUpdate()) + len(updates.GetEvict())
	if !l.wait(l.pace.delay(n, time.Now())) || !l.proxy.asking.take(l.ctx, l.silent) {
		return nil, nil
	}
	defer l.proxy.asking.release()
	return l.decide(engine.UpdateContainers, deadline, updates, func(b *nri.Border) *engine.Review {
		return b.Updates(nri.Updates{
			Operation: engine.UpdateContainers, Plugin: l.plugin,
			Update: updates.GetUpdate(), Evict: updates.GetEvict(),
		})
	}), nil
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

// decide has the engine decide a review that build makes of a message. A deadline
// is when the answer is of no use any more: by then there is one. Zero is none.
func (l *link) decide(op engine.Operation, deadline time.Time, m proto.Message, build func(*nri.Border) *engine.Review) *engine.Decision {
	ctx, judge := l.ctx, l.judges.Decide
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		// An eighth of what is left is for telling.
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)*7/8)
		defer cancel()
		judge = l.judges.DecidePromptly
	}
	return judge(ctx, op, func(b *nri.Border) *engine.Review {
		r := build(b)
		r.Malformed = append(r.Malformed, strange(m)...)
		if len(l.proxy.rule(l.plugin.Name).identities) == 0 {
			return r
		}
		if err := l.verify(); err != nil {
			r.Malformed = append(r.Malformed, "the plugin is not who registered any more: "+err.Error())
		}
		return r
	})
}
