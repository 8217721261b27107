package nri

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
)

// ErrNoUpdates says that plugins asked for updates of containers, and that the
// daemon has no [Config.Update] to carry them out.
var ErrNoUpdates = errors.New("this runtime cannot update containers for NRI plugins")

// UpdateContainer asks the plugins about an update of a container's resources and
// returns the resources to set: those requested, with what plugins changed and
// policies let through. Updates of other containers that plugins ask for go to
// [Config.Update]. An error means that the container must not be updated; for a
// denial it is a [*engine.Denied].
func (n *Integration) UpdateContainer(ctx context.Context, pod *api.PodSandbox, container *api.Container, requested *api.LinuxResources) (_ *api.LinuxResources, err error) {
	in := n.active()
	if in == nil {
		return requested, nil
	}
	defer recovered(ctx, &err)
	if pod == nil || container == nil {
		return nil, errors.New("NRI needs a pod and a container to ask plugins about")
	}
	var rpl *api.UpdateContainerResponse
	asked := in.roster.collect(engine.UpdateContainer, func() {
		rpl, err = in.nri.UpdateContainer(ctx, &api.UpdateContainerRequest{
			Pod:       pod,
			Container: container,
			// Plugins' changes are made to it.
			LinuxResources: proto.CloneOf(requested),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("asking NRI plugins about the update: %w", err)
	}
	approved, err := in.judge(ctx, asked, Updates{
		Operation: engine.UpdateContainer, Pod: pod, Container: container,
		Requested: requested, Update: rpl.GetUpdate(),
	})
	if err != nil {
		return nil, err
	}
	own, others := split(approved, container.GetId())
	if err := in.carryOut(ctx, others); err != nil {
		return nil, err
	}
	in.seen.Add(pod, container)
	if own == nil {
		return requested, nil
	}
	return own.GetLinux().GetResources(), nil
}

// StopContainer tells the plugins that a container is stopped. Updates of other
// containers that they ask for in reply are judged and go to [Config.Update];
// those that are denied, refused or fail are left out and logged, as an error
// would only harm the container.
func (n *Integration) StopContainer(ctx context.Context, pod *api.PodSandbox, container *api.Container) (err error) {
	in := n.active()
	if in == nil {
		return nil
	}
	defer recovered(ctx, &err)
	var rpl *api.StopContainerResponse
	asked := in.roster.collect(engine.StopContainer, func() {
		rpl, err = in.nri.StopContainer(ctx, &api.StopContainerRequest{Pod: pod, Container: container})
	})
	if err != nil {
		return fmt.Errorf("telling NRI plugins of StopContainer: %w", err)
	}
	in.tryUpdates(ctx, asked, Updates{
		Operation: engine.StopContainer, Pod: pod, Container: container, Update: rpl.GetUpdate(),
	})
	return nil
}

// synchronize is called by NRI when plugins have registered: all those that it
// launched at once, others one at a time. An error drops them.
func (in *instance) synchronize(_ context.Context, tell adaptation.SyncCB) (err error) {
	ctx := in.ctx
	defer recovered(ctx, &err)
	if in.stopped() {
		return errStopped
	}
	pods, containers, err := in.cfg.Sync(ctx)
	if err != nil {
		return fmt.Errorf("listing what exists, for NRI plugins: %w", err)
	}
	in.seen.Replace(pods, containers)
	var updates []*api.ContainerUpdate
	asked := in.roster.collect(engine.Synchronize, func() { updates, err = tell(ctx, pods, containers) })
	if err != nil {
		return fmt.Errorf("synchronizing NRI plugins: %w", err)
	}
	in.tryUpdates(ctx, asked, Updates{Operation: engine.Synchronize, Update: updates})
	return nil
}

// unsolicited is called by NRI when a plugin asks for updates by itself. Its
// error goes to the plugin.
func (in *instance) unsolicited(ctx context.Context, updates []*api.ContainerUpdate) (failed []*api.ContainerUpdate, err error) {
	defer recovered(ctx, &err)
	if in.stopped() {
		return nil, errStopped
	}
	approved, err := in.judge(ctx, []engine.Plugin{pluginFrom(ctx)}, Updates{Operation: engine.UpdateContainers, Update: updates})
	if err != nil {
		return nil, err
	}
	return in.update(ctx, approved)
}

// judge returns the updates that may be carried out. asked are the plugins that
// asked for them; when it was one, the updates are put down to it.
func (in *instance) judge(ctx context.Context, asked []engine.Plugin, u Updates) ([]*api.ContainerUpdate, error) {
	u.Update = meant(u.Update)
	if len(u.Update) == 0 {
		return nil, nil
	}
	u.Plugin, u.Plugins = sole(asked), in.roster.connected()
	d := in.guard.judge.Decide(ctx, u.Operation, func(b *Border) *engine.Review { return b.Updates(u) })
	if err := d.Err(u.Operation); err != nil {
		return nil, err
	}
	_, approved := Approved(d)
	return approved, nil
}

// tryUpdates judges updates and carries them out where an error would harm
// somebody else.
func (in *instance) tryUpdates(ctx context.Context, asked []engine.Plugin, u Updates) {
	approved, err := in.judge(ctx, asked, u)
	if err == nil {
		err = in.carryOut(ctx, approved)
	}
	if err != nil {
		log.G(ctx).WithError(err).WithField("containers", ids(meant(u.Update))).
			Warnf("NRI: updates that plugins asked for in reply to %s are left out", u.Operation)
	}
}

// carryOut has approved updates carried out. It fails when one fails that had to
// succeed.
func (in *instance) carryOut(ctx context.Context, updates []*api.ContainerUpdate) error {
	failed, err := in.update(ctx, updates)
	if err != nil {
		return err
	}
	for _, u := range failed {
		if !u.GetIgnoreFailure() {
			return fmt.Errorf("updates that NRI plugins asked for failed: %s", ids(failed))
		}
	}
	return nil
}

func (in *instance) update(ctx context.Context, updates []*api.ContainerUpdate) (failed []*api.ContainerUpdate, err error) {
	if updates = meant(updates); len(updates) == 0 {
		return nil, nil
	}
	if in.cfg.Update == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoUpdates, ids(updates))
	}
	defer recovered(ctx, &err)
	if in.stopped() {
		return nil, errStopped
	}
	failed, err = in.cfg.Update(ctx, updates)
	if err != nil {
		return failed, fmt.Errorf("updating containers for NRI plugins: %w", err)
	}
	return failed, nil
}

// meant leaves out updates that ask for nothing: NRI's lists hold nil for a
// container that no plugin wanted to update, and empty ones where a plugin set
// nothing or where what it set clashed with another and may be ignored.
func meant(updates []*api.ContainerUpdate) []*api.ContainerUpdate {
	var list []*api.ContainerUpdate
	for _, u := range updates {
		l := proto.CloneOf(u.GetLinux())
		if r := l.GetResources(); r != nil {
			if proto.Size(r.GetMemory()) == 0 {
				r.Memory = nil
			}
			if proto.Size(r.GetCpu()) == 0 {
				r.Cpu = nil
			}
			if proto.Size(r) == 0 {
				l.Resources = nil
			}
		}
		if proto.Size(l) > 0 || len(u.ProtoReflect().GetUnknown()) > 0 {
			list = append(list, u)
		}
	}
	return list
}

// split takes the update of one container out of a list.
func split(updates []*api.ContainerUpdate, id string) (own *api.ContainerUpdate, others []*api.ContainerUpdate) {
	for _, u := range updates {
		if u.GetContainerId() == id {
			own = u
			continue
		}
		others = append(others, u)
	}
	return own, others
}

func ids(updates []*api.ContainerUpdate) string {
	names := make([]string, 0, len(updates))
	for _, u := range updates {
		names = append(names, u.GetContainerId())
	}
	return strings.Join(names, ", ")
}
