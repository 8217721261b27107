package nri

import (
	"slices"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
)

// Border turns NRI's messages into reviews. NRI's in-band markers are decoded
// here and nowhere else: a review shows what the runtime would do, measured by
// NRI's own spec generator, not what a plugin wrote.
//
// A Border only reads the messages it is given. Its zero value works; it is safe
// for concurrent use once its fields are set.
type Border struct {
	// Runtime is named in every review.
	Runtime engine.Runtime
	// HostRoot is where the host's file system is found, for resolving symbolic
	// links in the sources of mounts and for finding device nodes. "" is "/".
	HostRoot string
	// Places saves looking at the host for each review; nil is right but slower.
	Places *Places
	// Lookup finds a container and its pod among those that the guard has seen; it
	// returns nil, nil for others, whose updates are denied. A nil Lookup has seen
	// nothing.
	Lookup func(id string) (*api.PodSandbox, *api.Container)
	// Self are the guard's own entries among the plugins that NRI consulted. Each is
	// left out of reviews once, so that it is not held responsible for a change
	// without owners; a second one of the same name is an impostor and stays.
	Self []engine.Plugin
	// NoStrip is set where one may only accept or reject.
	NoStrip bool
}

// Adjustment reviews the merged adjustment of a container being created, and the
// updates of other containers that come with it.
func (b *Border) Adjustment(req *api.ValidateContainerAdjustmentRequest) *engine.Review {
	m := messages{adjust: req.GetAdjust(), update: req.GetUpdate(), owners: req.GetOwners(), plugins: req.GetPlugins()}
	m.build = func(m messages) *engine.Review {
		x := b.start(engine.CreateContainer, req.GetPod(), req.GetContainer())
		x.review.Plugins = b.consulted(req.GetPlugins())
		x.owners = req.GetOwners()
		x.inspect("adjust", m.adjust)
		m.merged = m.adjust
		if !x.missing {
			x.adjustment(m.merged)
		}
		x.updates(m.update, nil)
		return x.finish(m)
	}
	return m.build(m)
}

// Reply is one plugin's own reply to CreateContainer, before NRI merges it.
type Reply struct {
	// Plugin is who replies.
	Plugin engine.Plugin
	// Plugins are those consulted so far.
	Plugins []engine.Plugin
	Pod     *api.PodSandbox
	// Container is as this plugin was shown it: with the changes of earlier plugins.
	Container *api.Container
	// Pristine is as it came from the orchestrator, nil where that is not known.
	// NRI cannot take out variables and devices that the orchestrator set; without
	// Pristine every such removal is taken to have an effect.
	Pristine *api.Container
	Adjust   *api.ContainerAdjustment
	Update   []*api.ContainerUpdate
	Evict    []*api.ContainerEviction
}

// Reply reviews one plugin's own reply to CreateContainer.
func (b *Border) Reply(r Reply) *engine.Review {
	m := messages{adjust: r.Adjust, update: r.Update, evict: r.Evict}
	m.build = func(m messages) *engine.Review {
		x := b.start(engine.CreateContainer, r.Pod, r.Container)
		x.judged(r.Plugin, r.Plugins)
		x.inspect("adjust", m.adjust)
		if !x.missing {
			m.merged = x.merge(m.adjust, r.Container, r.Pristine)
			x.adjustment(m.merged)
		}
		x.updates(m.update, nil)
		x.evictions(m.evict)
		return x.finish(m)
	}
	return m.build(m)
}

// Updates is a list of container updates that plugins ask for.
type Updates struct {
	Operation engine.Operation
	// Plugin is who asks, zero where the list is merged.
	Plugin  engine.Plugin
	Plugins []engine.Plugin
	// Pod and Container are those of the request replied to, nil for
	// synchronisation and unsolicited updates.
	Pod       *api.PodSandbox
	Container *api.Container
	// Requested is what the runtime itself wants to change of Container, as it was
	// before plugins were asked: NRI modifies the request while it merges.
	Requested *api.LinuxResources
	// Update may hold nil.
	Update []*api.ContainerUpdate
	Evict  []*api.ContainerEviction
}

// Updates reviews updates in the replies to update, stop and synchronise
// requests, and unsolicited ones.
func (b *Border) Updates(u Updates) *engine.Review {
	m := messages{update: u.Update, evict: u.Evict}
	m.build = func(m messages) *engine.Review {
		x := b.start(u.Operation, u.Pod, u.Container)
		x.judged(u.Plugin, u.Plugins)
		requested := u.Requested
		if requested == nil && u.Operation == engine.UpdateContainer {
			requested = &api.LinuxResources{}
		}
		x.updates(m.update, requested)
		x.evictions(m.evict)
		return x.finish(m)
	}
	m.requested = u.Requested
	return m.build(m)
}

// Approved returns the messages that a decision lets through, less what was
// stripped; nil, nil when it denies or when the review was not made by a Border.
func Approved(d *engine.Decision) (*api.ContainerAdjustment, []*api.ContainerUpdate) {
	if !d.Allowed || d.Approved == nil {
		return nil, nil
	}
	m, ok := d.Approved.Messages.(messages)
	if !ok {
		return nil, nil
	}
	return m.adjust, m.update
}

// ApprovedEvictions returns the evictions that a decision lets through.
func ApprovedEvictions(d *engine.Decision) []*api.ContainerEviction {
	if !d.Allowed || d.Approved == nil {
		return nil
	}
	m, _ := d.Approved.Messages.(messages)
	return m.evict
}

// messages are what a review was built from.
type messages struct {
	adjust    *api.ContainerAdjustment
	update    []*api.ContainerUpdate
	evict     []*api.ContainerEviction
	requested *api.LinuxResources
	// merged is adjust in the grammar of merged adjustments.
	merged *api.ContainerAdjustment
	// owners is NRI's book of who set what, nil where one plugin is judged or nobody
	// kept it; plugins are those consulted, as NRI lists them. claims are the entries
	// of the book that the review's changes go by.
	owners  *api.OwningPlugins
	plugins []*api.PluginInstance
	claims  []claim
	// review is what was made of the messages.
	review *engine.Review
	// build makes the review of such messages anew, in the same circumstances.
	build func(messages) *engine.Review
}

func (m messages) clone() messages {
	c := m
	c.adjust = proto.CloneOf(m.adjust)
	c.update = cloneAll(m.update)
	c.evict = cloneAll(m.evict)
	return c
}

func cloneAll[M proto.Message](list []M) []M {
	out := make([]M, 0, len(list))
	for _, m := range list {
		if m.ProtoReflect().IsValid() {
			out = append(out, proto.CloneOf(m))
		}
	}
	return out
}

// start begins a review of changes to container.
func (b *Border) start(op engine.Operation, pod *api.PodSandbox, container *api.Container) *builder {
	r := &engine.Review{Version: engine.Version, Operation: op, Runtime: b.Runtime, Pod: pod, Container: container}
	return &builder{
		border:  b,
		review:  r,
		target:  target{id: container.GetId(), pod: pod},
		lookups: lookups{left: maxComponents},
	}
}

// consulted converts NRI's list of plugins, without the guard itself.
func (b *Border) consulted(list []*api.PluginInstance) []engine.Plugin {
	plugins := make([]engine.Plugin, 0, len(list))
	for _, p := range list {
		plugins = append(plugins, engine.Plugin{Name: p.GetName(), Index: p.GetIndex()})
	}
	for _, own := range b.Self {
		if i := slices.Index(plugins, own); i >= 0 {
			plugins = slices.Delete(plugins, i, i+1)
		}
	}
	return plugins
}
