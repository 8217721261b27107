package proxy_test

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
)

// testPlugin subscribes to the requests that it has a function for.
type testPlugin struct {
	// mask is what it subscribes to, 0 for what it has functions for.
	mask        api.EventMask
	configure   func(config, runtime, version string)
	synchronize func([]*api.PodSandbox, []*api.Container) ([]*api.ContainerUpdate, error)
	create      func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error)
	update      func(*api.PodSandbox, *api.Container, *api.LinuxResources) ([]*api.ContainerUpdate, error)
	stop        func(*api.PodSandbox, *api.Container) ([]*api.ContainerUpdate, error)
	validate    func(*api.ValidateContainerAdjustmentRequest) error
	shutdown    func()
	// event is told the name of every other event, and what it is about.
	event func(name string, pod *api.PodSandbox, container *api.Container) error
}

var otherEvents = []api.Event{
	api.Event_RUN_POD_SANDBOX, api.Event_UPDATE_POD_SANDBOX, api.Event_POST_UPDATE_POD_SANDBOX,
	api.Event_STOP_POD_SANDBOX, api.Event_REMOVE_POD_SANDBOX, api.Event_POST_CREATE_CONTAINER,
	api.Event_START_CONTAINER, api.Event_POST_START_CONTAINER, api.Event_POST_UPDATE_CONTAINER,
	api.Event_REMOVE_CONTAINER,
}

func (p *testPlugin) Configure(_ context.Context, config, runtime, version string) (stub.EventMask, error) {
	if p.configure != nil {
		p.configure(config, runtime, version)
	}
	mask := p.mask
	if mask != 0 {
		return mask, nil
	}
	if p.event != nil {
		mask.Set(otherEvents...)
	}
	if p.update != nil {
		mask.Set(api.Event_UPDATE_CONTAINER)
	}
	if p.stop != nil {
		mask.Set(api.Event_STOP_CONTAINER)
	}
	if p.validate != nil {
		mask.Set(api.Event_VALIDATE_CONTAINER_ADJUSTMENT)
	}
	if p.create != nil || mask == 0 {
		mask.Set(api.Event_CREATE_CONTAINER)
	}
	return mask, nil
}

func (p *testPlugin) Synchronize(_ context.Context, pods []*api.PodSandbox, containers []*api.Container) ([]*api.ContainerUpdate, error) {
	if p.synchronize == nil {
		return nil, nil
	}
	return p.synchronize(pods, containers)
}

func (p *testPlugin) Shutdown(context.Context) {
	if p.shutdown != nil {
		p.shutdown()
	}
}

func (p *testPlugin) CreateContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	if p.create == nil {
		return nil, nil, nil
	}
	return p.create(pod, c)
}

func (p *testPlugin) UpdateContainer(_ context.Context, pod *api.PodSandbox, c *api.Container, r *api.LinuxResources) ([]*api.ContainerUpdate, error) {
	return p.update(pod, c, r)
}

func (p *testPlugin) StopContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) ([]*api.ContainerUpdate, error) {
	return p.stop(pod, c)
}

func (p *testPlugin) ValidateContainerAdjustment(_ context.Context, req *api.ValidateContainerAdjustmentRequest) error {
	return p.validate(req)
}

func (p *testPlugin) RunPodSandbox(_ context.Context, pod *api.PodSandbox) error {
	return p.event("RunPodSandbox", pod, nil)
}

func (p *testPlugin) UpdatePodSandbox(_ context.Context, pod *api.PodSandbox, _, _ *api.LinuxResources) error {
	return p.event("UpdatePodSandbox", pod, nil)
}

func (p *testPlugin) PostUpdatePodSandbox(_ context.Context, pod *api.PodSandbox) error {
	return p.event("PostUpdatePodSandbox", pod, nil)
}

func (p *testPlugin) StopPodSandbox(_ context.Context, pod *api.PodSandbox) error {
	return p.event("StopPodSandbox", pod, nil)
}

func (p *testPlugin) RemovePodSandbox(_ context.Context, pod *api.PodSandbox) error {
	return p.event("RemovePodSandbox", pod, nil)
}

func (p *testPlugin) PostCreateContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) error {
	return p.event("PostCreateContainer", pod, c)
}

func (p *testPlugin) StartContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) error {
	return p.event("StartContainer", pod, c)
}

func (p *testPlugin) PostStartContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) error {
	return p.event("PostStartContainer", pod, c)
}

func (p *testPlugin) PostUpdateContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) error {
	return p.event("PostUpdateContainer", pod, c)
}

func (p *testPlugin) RemoveContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) error {
	return p.event("RemoveContainer", pod, c)
}

// connected is a plugin that talks to a socket from within the test.
type connected struct {
	stub.Stub
	closed chan struct{}
}

// gone waits for the connection to end.
func (c *connected) gone(t testing.TB) {
	t.Helper()
	select {
	case <-c.closed:
	case <-time.After(patience):
		t.Fatal("the plugin is still connected")
	}
}

// connect registers a plugin and waits until it has been synchronised.
func connect(t testing.TB, socket, index, name string, p *testPlugin) *connected {
	t.Helper()
	c, err := tryConnect(t, socket, index, name, p)
	if err != nil {
		t.Fatalf("plugin %s-%s: %v", index, name, err)
	}
	return c
}

func tryConnect(t testing.TB, socket, index, name string, p *testPlugin, options ...stub.Option) (*connected, error) {
	c := &connected{closed: make(chan struct{})}
	synchronized := make(chan struct{})
	first, closed := sync.OnceFunc(func() { close(synchronized) }), sync.OnceFunc(func() { close(c.closed) })
	wrapped := *p
	wrapped.synchronize = func(pods []*api.PodSandbox, containers []*api.Container) ([]*api.ContainerUpdate, error) {
		defer first()
		if p.synchronize == nil {
			return nil, nil
		}
		return p.synchronize(pods, containers)
	}
	options = append([]stub.Option{stub.WithPluginName(name), stub.WithPluginIdx(index), stub.WithSocketPath(socket),
		stub.WithOnClose(closed), stub.WithLogger(quiet{})}, options...)
	s, err := stub.New(&wrapped, options...)
	if err != nil {
		return nil, err
	}
	c.Stub = s
	if err := s.Start(context.Background()); err != nil {
		return nil, err
	}
	t.Cleanup(s.Stop)
	select {
	case <-synchronized:
		return c, nil
	case <-c.closed:
		return nil, io.EOF
	case <-time.After(patience):
		t.Fatalf("plugin %s-%s was not synchronised", index, name)
		return nil, nil
	}
}

// quiet keeps the plugins' end of the talk out of the log.
type quiet struct{}

func (quiet) Debugf(context.Context, string, ...any) {}
func (quiet) Infof(context.Context, string, ...any)  {}
func (quiet) Warnf(context.Context, string, ...any)  {}
func (quiet) Errorf(context.Context, string, ...any) {}
