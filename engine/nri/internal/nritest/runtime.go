// Package nritest is a container runtime for tests, as far as plugins can tell:
// NRI's own adaptation over a socket.
package nritest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/ttrpc"
)

// Patience is how long a test waits for what must happen.
const Patience = 20 * time.Second

// Socket returns a path for a socket. It is short, as paths of sockets must be.
func Socket(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nri")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "nri.sock")
}

// Runtime has NRI's adaptation. Its fields are to be set before it is started.
type Runtime struct {
	Socket     string
	Pods       []*api.PodSandbox
	Containers []*api.Container

	*adaptation.Adaptation
	mu      sync.Mutex
	clients []*ttrpc.Client
	plugins int
}

// Start starts a runtime on a socket.
func Start(t testing.TB, socket string) *Runtime {
	t.Helper()
	r := &Runtime{Socket: socket}
	r.Start(t)
	return r
}

// Start starts the runtime. It is killed at the end of the test.
func (r *Runtime) Start(t testing.TB) {
	t.Helper()
	var err error
	r.Adaptation, err = adaptation.New("testd", "1.2.3", r.sync,
		func(context.Context, []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) { return nil, nil },
		adaptation.WithSocketPath(r.Socket), adaptation.WithPluginPath(filepath.Dir(r.Socket)+"/plugins"),
		adaptation.WithMetrics(r),
		adaptation.WithTTRPCOptions([]ttrpc.ClientOpts{r.connected}, nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Adaptation.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Kill)
}

// Kill is what happens when the process ends: NRI stops, and every connection is
// closed.
func (r *Runtime) Kill() {
	r.Stop()
	r.Drop()
}

// Drop closes every connection.
func (r *Runtime) Drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.clients {
		_ = c.Close()
	}
	r.clients = nil
}

func (r *Runtime) connected(c *ttrpc.Client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clients = append(r.clients, c)
}

func (r *Runtime) sync(ctx context.Context, tell adaptation.SyncCB) error {
	_, err := tell(ctx, r.Pods, r.Containers)
	return err
}

// Plugins waits until so many are connected and synchronised.
func (r *Runtime) Plugins(t testing.TB, n int) {
	t.Helper()
	Eventually(t, "the plugins are connected", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.plugins == n
	})
}

// UpdatePluginCount implements [adaptation.Metrics].
func (r *Runtime) UpdatePluginCount(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plugins = n
}

// RecordPluginInvocation implements [adaptation.Metrics].
func (r *Runtime) RecordPluginInvocation(string, string, error) {}

// RecordPluginLatency implements [adaptation.Metrics].
func (r *Runtime) RecordPluginLatency(string, string, time.Duration) {}

// RecordPluginAdjustments implements [adaptation.Metrics].
func (r *Runtime) RecordPluginAdjustments(string, string, *api.ContainerAdjustment, int, int) {}

// Pod is one of the name.
func Pod(id string) *api.PodSandbox {
	return &api.PodSandbox{Id: "pod-" + id, Name: id, Namespace: "default"}
}

// Container is one in the [Pod] of the same id.
func Container(id string) *api.Container {
	return &api.Container{Id: id, PodSandboxId: "pod-" + id, Name: id, Args: []string{"sh"}, Env: []string{"PATH=/bin"},
		Linux: &api.LinuxContainer{Resources: &api.LinuxResources{}}}
}

// Create asks the plugins about a new container.
func (r *Runtime) Create(t testing.TB, id string) (*api.CreateContainerResponse, error) {
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	return r.CreateContainer(ctx, &api.CreateContainerRequest{Pod: Pod(id), Container: Container(id)})
}
