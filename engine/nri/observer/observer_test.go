package observer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/internal/nritest"
	"github.com/nri-guard/nri-guard/engine/nri/observer"
)

func TestMain(m *testing.M) {
	log.L.Logger.SetOutput(io.Discard)
	adaptation.SetPluginRequestTimeout(nritest.Patience)
	os.Exit(m.Run())
}

// observe runs an observer until the end of the test.
func observe(t *testing.T, socket string) *observer.Observer {
	return run(t, observer.Config{Socket: socket})
}

func run(t *testing.T, cfg observer.Config) *observer.Observer {
	t.Helper()
	o, err := observer.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return o
}

func ready(t *testing.T, o *observer.Observer) {
	t.Helper()
	nritest.Eventually(t, "the observer is ready", o.Ready)
}

// sees demands that a container is seen in its pod, in a state.
func sees(t *testing.T, o *observer.Observer, id string, state api.ContainerState) {
	t.Helper()
	pod, c := o.Lookup(id)
	if c.GetId() != id || pod.GetId() != "pod-"+id || c.GetState() != state {
		t.Errorf("%s is seen as %v in %v", id, c, pod)
	}
}

func seesNot(t *testing.T, o *observer.Observer, id string) {
	t.Helper()
	if pod, c := o.Lookup(id); pod != nil || c != nil {
		t.Errorf("%s is seen as %v in %v", id, c, pod)
	}
}

// in is a container in a state.
func in(id string, state api.ContainerState) *api.Container {
	c := nritest.Container(id)
	c.State = state
	return c
}

// TestLifecycle follows a container from creation to removal.
func TestLifecycle(t *testing.T) {
	nritest.NoLeaks(t)
	runtime := &nritest.Runtime{Socket: nritest.Socket(t),
		Pods: []*api.PodSandbox{nritest.Pod("old")}, Containers: []*api.Container{in("old", api.ContainerState_CONTAINER_RUNNING)}}
	runtime.Start(t)
	o := observe(t, runtime.Socket)
	ready(t, o)
	runtime.Plugins(t, 1)
	sees(t, o, "old", api.ContainerState_CONTAINER_RUNNING)
	seesNot(t, o, "c")

	rpl, err := runtime.Create(t, "c")
	if err != nil {
		t.Fatal(err)
	}
	if a := rpl.GetAdjust(); len(a.GetAnnotations())+len(a.GetMounts())+len(a.GetEnv()) > 0 || len(rpl.GetUpdate())+len(rpl.GetEvict()) > 0 {
		t.Errorf("the observer asks for %v", rpl)
	}
	sees(t, o, "c", api.ContainerState_CONTAINER_UNKNOWN)

	ctx := t.Context()
	pod := nritest.Pod("c")
	for _, step := range []struct {
		state api.ContainerState
		tell  func(*api.Container) error
	}{
		{api.ContainerState_CONTAINER_CREATED, func(c *api.Container) error {
			return runtime.PostCreateContainer(ctx, &api.PostCreateContainerRequest{Pod: pod, Container: c})
		}},
		{api.ContainerState_CONTAINER_PAUSED, func(c *api.Container) error {
			return runtime.StartContainer(ctx, &api.StartContainerRequest{Pod: pod, Container: c})
		}},
		{api.ContainerState_CONTAINER_RUNNING, func(c *api.Container) error {
			return runtime.PostStartContainer(ctx, &api.PostStartContainerRequest{Pod: pod, Container: c})
		}},
		{api.ContainerState_CONTAINER_PAUSED, func(c *api.Container) error {
			return runtime.PostUpdateContainer(ctx, &api.PostUpdateContainerRequest{Pod: pod, Container: c})
		}},
		{api.ContainerState_CONTAINER_STOPPED, func(c *api.Container) error {
			_, err := runtime.StopContainer(ctx, &api.StopContainerRequest{Pod: pod, Container: c})
			return err
		}},
	} {
		if err := step.tell(in("c", step.state)); err != nil {
			t.Fatal(err)
		}
		sees(t, o, "c", step.state)
	}
	if err := runtime.PostUpdatePodSandbox(ctx, &api.PostUpdatePodSandboxRequest{Pod: &api.PodSandbox{Id: "pod-c", Name: "updated"}}); err != nil {
		t.Fatal(err)
	}
	if p, _ := o.Lookup("c"); p.GetName() != "updated" {
		t.Errorf("the pod is %v", p)
	}
	if err := runtime.RemoveContainer(ctx, &api.RemoveContainerRequest{Pod: pod, Container: in("c", 0)}); err != nil {
		t.Fatal(err)
	}
	seesNot(t, o, "c")
	if err := runtime.RemovePodSandbox(ctx, &api.RemovePodSandboxRequest{Pod: nritest.Pod("old")}); err != nil {
		t.Fatal(err)
	}
	seesNot(t, o, "old")
}

// TestTold: an observer that is told of creations is not asked about any, and knows a
// container from then until it is removed, or as what it starts where nobody told.
func TestTold(t *testing.T) {
	nritest.NoLeaks(t)
	runtime := &nritest.Runtime{Socket: nritest.Socket(t)}
	runtime.Start(t)
	o := run(t, observer.Config{Socket: runtime.Socket, Told: true})
	ready(t, o)
	runtime.Plugins(t, 1)
	ctx := t.Context()
	for _, id := range []string{"told", "not"} {
		if _, err := runtime.Create(t, id); err != nil {
			t.Fatal(err)
		}
		if err := runtime.PostCreateContainer(ctx, &api.PostCreateContainerRequest{Pod: nritest.Pod(id), Container: in(id, api.ContainerState_CONTAINER_CREATED)}); err != nil {
			t.Fatal(err)
		}
		seesNot(t, o, id)
	}
	o.Create(nritest.Pod("told"), in("told", api.ContainerState_CONTAINER_UNKNOWN))
	sees(t, o, "told", api.ContainerState_CONTAINER_UNKNOWN)
	for _, id := range []string{"told", "not"} {
		if err := runtime.StartContainer(ctx, &api.StartContainerRequest{Pod: nritest.Pod(id), Container: in(id, api.ContainerState_CONTAINER_CREATED)}); err != nil {
			t.Fatal(err)
		}
		sees(t, o, id, api.ContainerState_CONTAINER_CREATED)
		if err := runtime.RemoveContainer(ctx, &api.RemoveContainerRequest{Pod: nritest.Pod(id), Container: in(id, 0)}); err != nil {
			t.Fatal(err)
		}
		seesNot(t, o, id)
	}
}

// creator is a plugin that does something at a creation.
type creator struct{ do func(id string) error }

func (c creator) CreateContainer(_ context.Context, _ *api.PodSandbox, m *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	return nil, nil, c.do(m.GetId())
}

// TestIsFirst: what others may ask about in their replies has been seen.
func TestIsFirst(t *testing.T) {
	nritest.NoLeaks(t)
	runtime := nritest.Start(t, nritest.Socket(t))
	o := observe(t, runtime.Socket)
	s, err := stub.New(creator{func(id string) error {
		if _, c := o.Lookup(id); c == nil {
			return errors.New("it has not been seen")
		}
		return nil
	}}, stub.WithPluginName("other"), stub.WithPluginIdx("01"), stub.WithSocketPath(runtime.Socket))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	runtime.Plugins(t, 2)
	if _, err := runtime.Create(t, "c"); err != nil {
		t.Error(err)
	}
}

// TestManyContainers: NRI tells what exists in parts when it is too much for one
// message.
func TestManyContainers(t *testing.T) {
	nritest.NoLeaks(t)
	runtime := &nritest.Runtime{Socket: nritest.Socket(t)}
	const n = 3000
	for i := range n {
		id := fmt.Sprint("c", i)
		c := nritest.Container(id)
		c.Env = append(c.Env, "LONG="+strings.Repeat("x", 2000)) // 6 MB, of which a message takes 4
		runtime.Pods = append(runtime.Pods, nritest.Pod(id))
		runtime.Containers = append(runtime.Containers, c)
	}
	runtime.Start(t)
	o := observe(t, runtime.Socket)
	ready(t, o)
	for i := range n {
		if pod, c := o.Lookup(fmt.Sprint("c", i)); c == nil || pod == nil {
			t.Fatalf("container %d is not seen", i)
		}
	}
}

// TestRestart: while the runtime is away the observer is not ready and goes on to
// answer; then it knows what exists and nothing else.
func TestRestart(t *testing.T) {
	nritest.NoLeaks(t)
	socket := nritest.Socket(t)
	before := &nritest.Runtime{Socket: socket, Pods: []*api.PodSandbox{nritest.Pod("gone"), nritest.Pod("stays")},
		Containers: []*api.Container{nritest.Container("gone"), nritest.Container("stays")}}
	before.Start(t)
	o := observe(t, socket)
	ready(t, o)
	before.Plugins(t, 1)
	before.Kill()
	nritest.Eventually(t, "it is noticed", func() bool { return !o.Ready() })
	if st := o.Status(); st.Connected || st.Problem == "" {
		t.Errorf("the status is %+v", st)
	}
	sees(t, o, "gone", 0)
	after := &nritest.Runtime{Socket: socket, Pods: []*api.PodSandbox{nritest.Pod("stays"), nritest.Pod("new")},
		Containers: []*api.Container{nritest.Container("stays"), nritest.Container("new")}}
	after.Start(t)
	ready(t, o)
	seesNot(t, o, "gone")
	sees(t, o, "stays", 0)
	sees(t, o, "new", 0)
}

// TestNotYet: before anything has been told nothing is seen, and it is not ready.
func TestNotYet(t *testing.T) {
	nritest.NoLeaks(t)
	o := observe(t, nritest.Socket(t))
	nritest.Eventually(t, "it waits", func() bool { return strings.Contains(o.Status().Problem, "waiting for the runtime") })
	if o.Ready() {
		t.Error("it is ready")
	}
	seesNot(t, o, "c")
}

// TestConcurrent asks while containers come and go.
func TestConcurrent(t *testing.T) {
	nritest.NoLeaks(t)
	runtime := nritest.Start(t, nritest.Socket(t))
	o := observe(t, runtime.Socket)
	ready(t, o)
	runtime.Plugins(t, 1)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			id := fmt.Sprint("c", i)
			if _, err := runtime.Create(t, id); err != nil {
				t.Error(err)
			}
			sees(t, o, id, 0)
			if err := runtime.RemoveContainer(t.Context(), &api.RemoveContainerRequest{Pod: nritest.Pod(id), Container: nritest.Container(id)}); err != nil {
				t.Error(err)
			}
			seesNot(t, o, id)
		})
	}
	wg.Wait()
}

// TestConfig names the observer among the plugins, and refuses what NRI would.
func TestConfig(t *testing.T) {
	if got, want := (observer.Config{}).Plugin(), (engine.Plugin{Name: "nri-guard-observer", Index: "00"}); got != want {
		t.Errorf("it is %v", got)
	}
	if got, want := (observer.Config{Name: "eye", Index: "01"}).Plugin(), (engine.Plugin{Name: "eye", Index: "01"}); got != want {
		t.Errorf("it is %v", got)
	}
	_, err := observer.New(observer.Config{Name: "a b"})
	nritest.MustSay(t, err, "observer: ", `invalid plugin name "a b"`)
}
