// Package observer sees which containers a runtime has, through a connection of
// the guard's own: what plugins ask to update they name by an id alone, and
// policies want to know whose container it is.
//
// It changes nothing and has no say: it is told of containers and pods and
// answers at once. It comes first among the plugins, so that it has seen a
// container before others can ask for anything. A runtime waits for every plugin
// that it tells, one after the other, so that the observer is told no more than it
// takes. Where the guard is asked to validate each creation, it knows of new
// containers from there, and a creation waits for no observer.
package observer

import (
	"cmp"
	"context"
	"fmt"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/internal/seen"
	"github.com/nri-guard/nri-guard/engine/nri/session"
)

// Name and index that an observer registers under when the configuration has none.
const (
	DefaultName  = "nri-guard-observer"
	DefaultIndex = "00"
)

// Config says where to observe. Its zero value works.
type Config struct {
	// Socket is the path of the runtime's NRI socket; "" is NRI's default.
	Socket string
	// Name and Index to register under; [DefaultName] and [DefaultIndex] where they
	// are empty.
	Name, Index string
	// Told is set where somebody else tells of each container that may come to be,
	// by [Observer.Create]; the runtime does not then.
	Told bool
}

// Plugin is how the observer appears among the runtime's plugins.
func (c Config) Plugin() engine.Plugin {
	return engine.Plugin{Name: cmp.Or(c.Name, DefaultName), Index: cmp.Or(c.Index, DefaultIndex)}
}

// Observer is made by [New]. It is safe for concurrent use.
type Observer struct {
	seen    seen.Containers
	session *session.Session
}

// New checks the configuration; it touches no socket.
func New(cfg Config) (*Observer, error) {
	o := &Observer{}
	var err error
	self := cfg.Plugin()
	o.session, err = session.New(session.Config{
		Socket: cfg.Socket, Name: self.Name, Index: self.Index, Plugin: cfg.handler(&o.seen),
		// An old runtime does not update pods.
		Spare: *new(api.EventMask).Set(api.Event_POST_UPDATE_POD_SANDBOX),
	})
	if err != nil {
		return nil, fmt.Errorf("observer: %w", err)
	}
	return o, nil
}

// Run observes until ctx ends, and returns nil then. It waits for a socket that is
// not there, and connects again whenever the connection is lost.
func (o *Observer) Run(ctx context.Context) error { return o.session.Run(ctx) }

// Status returns how the connection to the runtime stands.
func (o *Observer) Status() session.Status { return o.session.Status() }

// Ready says whether the runtime has told what exists and is still connected, so
// that a container that is not found is none.
func (o *Observer) Ready() bool { return o.session.Status().Connected }

// Lookup finds a container and its pod by id, nil, nil where none has been seen.
// It is made for [nri.Border.Lookup], and the messages must not be modified. While
// the observer is not ready it answers from what it knew: ids are not used again,
// so that what it finds is right, but it may not find what is new.
func (o *Observer) Lookup(id string) (*api.PodSandbox, *api.Container) { return o.seen.Lookup(id) }

// Create takes note of a container that may come to be, for observers that are
// [Config.Told] so. One of which the runtime does not tell later that it exists is
// forgotten after an hour, or when it is the oldest of a thousand. The messages must
// not be modified afterwards.
func (o *Observer) Create(pod *api.PodSandbox, container *api.Container) {
	o.seen.Create(pod, container)
}

// handler is what NRI's stub sees. It is subscribed to what changes what is seen,
// and nothing else.
type handler struct{ seen *seen.Containers }

// handler is also told of creations, unless somebody else tells of them.
func (c Config) handler(s *seen.Containers) any {
	if c.Told {
		return handler{s}
	}
	return creating{handler{s}}
}

// creating is told of creations, each of which waits for it.
type creating struct{ handler }

// CreateContainer is told of a container that may come to be.
func (h creating) CreateContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	h.seen.Create(pod, c)
	return nil, nil, nil
}

// PostCreateContainer is told that it has.
func (h creating) PostCreateContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) error {
	h.seen.Add(pod, c)
	return nil
}

// Synchronize is told what exists; all that was known from an earlier connection
// is forgotten.
func (h handler) Synchronize(_ context.Context, pods []*api.PodSandbox, containers []*api.Container) ([]*api.ContainerUpdate, error) {
	h.seen.Replace(pods, containers)
	return nil, nil
}

// StartContainer is told what has become of a container, as which it starts.
func (h handler) StartContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) error {
	h.seen.Add(pod, c)
	return nil
}

// PostStartContainer is told of its state.
func (h handler) PostStartContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) error {
	h.seen.Add(pod, c)
	return nil
}

// StopContainer is told of its end; it exists until it is removed.
func (h handler) StopContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) ([]*api.ContainerUpdate, error) {
	h.seen.Refresh(pod, c)
	return nil, nil
}

// PostUpdateContainer is told of its resources.
func (h handler) PostUpdateContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) error {
	h.seen.Add(pod, c)
	return nil
}

// RemoveContainer is told that it is no more.
func (h handler) RemoveContainer(_ context.Context, _ *api.PodSandbox, c *api.Container) error {
	h.seen.Remove(c)
	return nil
}

// PostUpdatePodSandbox is told of a pod's resources.
func (h handler) PostUpdatePodSandbox(_ context.Context, pod *api.PodSandbox) error {
	h.seen.UpdatePod(pod)
	return nil
}

// RemovePodSandbox is told that a pod is no more, nor its containers.
func (h handler) RemovePodSandbox(_ context.Context, pod *api.PodSandbox) error {
	h.seen.RemovePod(pod)
	return nil
}
