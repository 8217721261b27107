package nri_test

import (
	"context"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	nrilog "github.com/containerd/nri/pkg/log"
	"github.com/containerd/nri/pkg/stub"
)

// testPlugin subscribes to the requests that it has a function for.
type testPlugin struct {
	configure   func(config, runtime, version string)
	synchronize func([]*api.PodSandbox, []*api.Container) ([]*api.ContainerUpdate, error)
	create      func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error)
	update      func(*api.PodSandbox, *api.Container, *api.LinuxResources) ([]*api.ContainerUpdate, error)
	stop        func(*api.PodSandbox, *api.Container) ([]*api.ContainerUpdate, error)
	// event is told the name of every other event, and the id it is about.
	event func(name, id string) error
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
	var mask stub.EventMask
	if p.event != nil {
		mask.Set(otherEvents...)
	}
	if p.update != nil {
		mask.Set(api.Event_UPDATE_CONTAINER)
	}
	if p.stop != nil {
		mask.Set(api.Event_STOP_CONTAINER)
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

func (p *testPlugin) RunPodSandbox(_ context.Context, pod *api.PodSandbox) error {
	return p.event("RunPodSandbox", pod.GetId())
}

func (p *testPlugin) UpdatePodSandbox(_ context.Context, pod *api.PodSandbox, overhead, resources *api.LinuxResources) error {
	return p.event("UpdatePodSandbox", pod.GetId()+overhead.GetCpu().GetCpus()+resources.GetCpu().GetCpus())
}

func (p *testPlugin) PostUpdatePodSandbox(_ context.Context, pod *api.PodSandbox) error {
	return p.event("PostUpdatePodSandbox", pod.GetId())
}

func (p *testPlugin) StopPodSandbox(_ context.Context, pod *api.PodSandbox) error {
	return p.event("StopPodSandbox", pod.GetId())
}

func (p *testPlugin) RemovePodSandbox(_ context.Context, pod *api.PodSandbox) error {
	return p.event("RemovePodSandbox", pod.GetId())
}

func (p *testPlugin) PostCreateContainer(_ context.Context, _ *api.PodSandbox, c *api.Container) error {
	return p.event("PostCreateContainer", c.GetId())
}

func (p *testPlugin) StartContainer(_ context.Context, _ *api.PodSandbox, c *api.Container) error {
	return p.event("StartContainer", c.GetId())
}

func (p *testPlugin) PostStartContainer(_ context.Context, _ *api.PodSandbox, c *api.Container) error {
	return p.event("PostStartContainer", c.GetId())
}

func (p *testPlugin) PostUpdateContainer(_ context.Context, _ *api.PodSandbox, c *api.Container) error {
	return p.event("PostUpdateContainer", c.GetId())
}

func (p *testPlugin) RemoveContainer(_ context.Context, _ *api.PodSandbox, c *api.Container) error {
	return p.event("RemoveContainer", c.GetId())
}

// connected is a plugin that talks to a socket from within the test.
type connected struct {
	stub.Stub
	closed chan struct{}
}

// connect registers a plugin and waits until it has been synchronised.
func connect(t *testing.T, socket, index, name string, p *testPlugin) *connected {
	t.Helper()
	c, err := tryConnect(t, socket, index, name, p)
	if err != nil {
		t.Fatalf("plugin %s-%s: %v", index, name, err)
	}
	return c
}

func tryConnect(t *testing.T, socket, index, name string, p *testPlugin) (*connected, error) {
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
	s, err := stub.New(&wrapped, stub.WithPluginName(name), stub.WithPluginIdx(index), stub.WithSocketPath(socket),
		stub.WithOnClose(closed), stub.WithLogger(quiet{}))
	if err != nil {
		return nil, err
	}
	c.Stub = s
	if err := s.Start(t.Context()); err != nil {
		return nil, err
	}
	t.Cleanup(s.Stop)
	select {
	case <-synchronized:
	case <-c.closed:
		return nil, io.EOF
	case <-time.After(patience):
		t.Fatalf("plugin %s-%s was not synchronised", index, name)
	}
	return c, nil
}

// patience is how long a test waits for what must happen, and NRI for its plugins:
// a busy machine must not fail a test.
const patience = 20 * time.Second

// impatient has NRI wait for its plugins for a moment only. It is not for tests
// that run beside others.
func impatient(t *testing.T) {
	adaptation.SetPluginRequestTimeout(time.Second)
	t.Cleanup(func() { adaptation.SetPluginRequestTimeout(patience) })
}

// quiet keeps the plugins' end of the talk out of the log.
type quiet struct{}

func (quiet) Debugf(context.Context, string, ...any) {}
func (quiet) Infof(context.Context, string, ...any)  {}
func (quiet) Warnf(context.Context, string, ...any)  {}
func (quiet) Errorf(context.Context, string, ...any) {}

var _ nrilog.Logger = quiet{}

// spawn starts a plugin process that dials the socket.
func spawn(t *testing.T, socket, index, name string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), api.PluginNameEnvVar+"="+name, api.PluginIdxEnvVar+"="+index, dialVar+"="+socket)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}
