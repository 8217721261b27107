package nri

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
)

// errUnjudged is what becomes of a creation that NRI let through without asking
// the guard.
var errUnjudged = errors.New("nri-guard was not asked about the creation, which is denied therefore")

// CreateContainer asks the plugins about a container that is to be created, has
// their adjustment judged, and returns what is left of it to apply; nil when NRI
// is disabled. An error means that the container must not be created. For a
// denial it is a [*engine.Denied], whose text has all the reasons.
//
// Until release is called no plugin is synchronised and NRI is not reloaded. Call
// it when the container is among those that [Config.Sync] returns, or is not going
// to be: then a plugin hears of every container either when it is synchronised or
// here, and never twice. It may be called by any goroutine and any number of
// times, is never nil, and does nothing after an error.
//
// A plugin that is being synchronised keeps CreateContainer waiting, and so does
// one that waits for that behind another creation's release. So call it with no
// lock held that Config.Sync, Config.Update or the release of another creation
// needs, and not between another call and its release in the same goroutine. The
// wait ends with ctx.
//
// When the container is not created after all, call [Integration.RemoveContainer]:
// plugins may keep resources for it.
func (n *Integration) CreateContainer(ctx context.Context, pod *api.PodSandbox, container *api.Container) (adjust *api.ContainerAdjustment, release func(), err error) {
	in, unlock, err := n.hold(ctx)
	if err != nil {
		return nil, unlock, err
	}
	if in == nil {
		return nil, unlock, nil
	}
	adjust, err = in.create(ctx, pod, container)
	if err != nil {
		unlock()
		return nil, unlock, err
	}
	return adjust, unlock, nil
}

// BlockSync keeps plugins from being synchronised, and NRI from being reloaded,
// until release is called. It is for what else changes the answer of
// [Config.Sync], such as a pod that is started. All that is said of
// [Integration.CreateContainer] about waiting and releasing holds here.
func (n *Integration) BlockSync(ctx context.Context) (release func(), err error) {
	_, release, err = n.hold(ctx)
	return release, err
}

// RemoveContainer tells the plugins that a container has gone. Until release is
// called no plugin is synchronised; call it when the container is no longer among
// those that [Config.Sync] returns. All that is said of
// [Integration.CreateContainer] about waiting and releasing holds here, but that
// release must be called after an error as well.
func (n *Integration) RemoveContainer(ctx context.Context, pod *api.PodSandbox, container *api.Container) (release func(), err error) {
	in, release, err := n.hold(ctx)
	switch {
	case errors.Is(err, ErrShutdown):
		return release, nil
	case err != nil:
		return release, err
	case in == nil:
		return release, nil
	}
	in.seen.Remove(container)
	return release, in.relay(ctx, "RemoveContainer", func() error {
		return in.nri.RemoveContainer(ctx, &api.RemoveContainerRequest{Pod: pod, Container: container})
	})
}

// hold blocks the synchronisation of plugins, and reloads. The instance is nil
// when NRI is disabled: that may be reloaded too.
func (n *Integration) hold(ctx context.Context) (_ *instance, release func(), err error) {
	if n == nil {
		return nil, func() {}, nil
	}
	if err := n.gate.enter(ctx); err != nil {
		return nil, func() {}, fmt.Errorf("waiting for NRI to be reloaded: %w", err)
	}
	in := n.current()
	if !in.enabled() {
		return nil, sync.OnceFunc(n.gate.leave), nil
	}
	if in.stopped() {
		n.gate.leave()
		return nil, func() {}, ErrShutdown
	}
	unblock, err := in.block(ctx)
	if err != nil {
		n.gate.leave()
		return nil, func() {}, err
	}
	return in, sync.OnceFunc(func() {
		unblock()
		n.gate.leave()
	}), nil
}

// block takes NRI's own lock. That cannot be given up, so another goroutine waits
// for it.
func (in *instance) block(ctx context.Context) (unblock func(), err error) {
	blocked := make(chan *adaptation.PluginSyncBlock)
	go func() {
		b := in.nri.BlockPluginSync()
		select {
		case blocked <- b:
		case <-ctx.Done():
			b.Unblock()
		}
	}()
	select {
	case b := <-blocked:
		return b.Unblock, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for an NRI plugin to be synchronised: %w", context.Cause(ctx))
	}
}

// create has plugins asked and judged. NRI calls the guard on the way, which
// leaves its decision in the question.
func (in *instance) create(ctx context.Context, pod *api.PodSandbox, container *api.Container) (_ *api.ContainerAdjustment, err error) {
	defer recovered(ctx, &err)
	if pod == nil || container == nil {
		return nil, errors.New("NRI needs a pod and a container to ask plugins about")
	}
	var q question
	_, err = in.nri.CreateContainer(context.WithValue(ctx, questionKey{}, &q), &api.CreateContainerRequest{
		Pod: pod,
		// Plugins' changes are made to it, for later ones to see.
		Container: proto.CloneOf(container),
	})
	switch d := q.decision; {
	case d != nil && !d.Allowed:
		return nil, d.Err(engine.CreateContainer)
	case err != nil:
		return nil, fmt.Errorf("asking NRI plugins about the container: %w", err)
	case d == nil:
		return nil, errUnjudged
	case in.stopped():
		return nil, ErrShutdown // plugins may have been cut off in the middle
	}
	adjust, updates := Approved(q.decision)
	if err := in.carryOut(ctx, updates); err != nil {
		return nil, err
	}
	in.seen.Add(pod, container)
	return adjust, nil
}
