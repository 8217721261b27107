package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/ttrpc"
)

// patience is how long a test waits for what must happen, and NRI for its plugins:
// a busy machine must not fail a test.
const patience = 20 * time.Second

// testRuntime is a container runtime as it comes: NRI's own adaptation, which
// knows nothing of a guard.
type testRuntime struct {
	nri     *adaptation.Adaptation
	clients []*ttrpc.Client
	socket  string

	mu         sync.Mutex
	pods       []*api.PodSandbox
	containers []*api.Container
	// synced are the updates that plugins asked for when they were synchronised.
	synced []*api.ContainerUpdate
	// asked are the updates that plugins asked for by themselves.
	asked []*api.ContainerUpdate
	// held is locked while the runtime does not get round to them.
	held sync.Mutex
	// look is shown the context that they come with.
	look func(context.Context)
	// refuse is what the runtime answers those with.
	refuse error
}

// shortDir is a directory with a path that is short enough for sockets.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nri")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func newTestRuntime(t testing.TB) *testRuntime {
	t.Helper()
	r := &testRuntime{socket: filepath.Join(shortDir(t), "runtime", "nri.sock")}
	r.start(t)
	return r
}

// runtimeWith is a runtime that is set up differently.
func runtimeWith(t testing.TB, options ...adaptation.Option) *testRuntime {
	t.Helper()
	r := &testRuntime{socket: filepath.Join(shortDir(t), "runtime", "nri.sock")}
	r.start(t, options...)
	return r
}

// start starts NRI, on the same socket each time.
func (r *testRuntime) start(t testing.TB, options ...adaptation.Option) {
	t.Helper()
	note := func(c *ttrpc.Client) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.clients = append(r.clients, c)
	}
	options = append([]adaptation.Option{
		adaptation.WithSocketPath(r.socket), adaptation.WithPluginPath("/nonexistent"),
		adaptation.WithTTRPCOptions([]ttrpc.ClientOpts{note}, nil),
	}, options...)
	n, err := adaptation.New("testd", "1.2.3", r.sync, r.update, options...)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	r.nri = n
	t.Cleanup(n.Stop)
}

// crash ends NRI as the end of the runtime's process would: with its connections,
// which NRI leaves open when it stops.
func (r *testRuntime) crash() {
	r.nri.Stop()
	r.mu.Lock()
	clients := r.clients
	r.clients = nil
	r.mu.Unlock()
	for _, c := range clients {
		_ = c.Close()
	}
}

func (r *testRuntime) restart(t testing.TB) {
	t.Helper()
	r.crash()
	r.start(t)
}

func (r *testRuntime) sync(ctx context.Context, tell adaptation.SyncCB) error {
	r.mu.Lock()
	pods, containers := slices.Clone(r.pods), slices.Clone(r.containers)
	r.mu.Unlock()
	updates, err := tell(ctx, pods, containers)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.synced = append(r.synced, updates...)
	return err
}

// metadata returns what the next unsolicited update came with.
func (r *testRuntime) metadata(key string) (seen func() string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var text string
	r.look = func(ctx context.Context) {
		text, _ = ttrpc.GetMetadataValue(ctx, key)
		if _, ok := ctx.Deadline(); ok {
			text += " in time"
		}
	}
	return func() string {
		r.mu.Lock()
		defer r.mu.Unlock()
		return text
	}
}

func (r *testRuntime) update(ctx context.Context, updates []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) {
	r.held.Lock()
	defer r.held.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.look != nil {
		r.look(ctx)
	}
	if r.refuse != nil {
		return nil, r.refuse
	}
	r.asked = append(r.asked, updates...)
	var failed []*api.ContainerUpdate
	for _, u := range updates {
		if _, c := r.find(u.GetContainerId()); c == nil {
			failed = append(failed, u)
		}
	}
	return failed, nil
}

// hold keeps the runtime from carrying out what plugins ask for by themselves.
func (r *testRuntime) hold() (release func()) {
	r.held.Lock()
	return r.held.Unlock
}

// askedFor returns the updates that plugins asked for by themselves.
func (r *testRuntime) askedFor() []*api.ContainerUpdate {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

func (r *testRuntime) find(id string) (*api.PodSandbox, *api.Container) {
	for _, c := range r.containers {
		if c.GetId() == id {
			for _, p := range r.pods {
				if p.GetId() == c.GetPodSandboxId() {
					return p, c
				}
			}
		}
	}
	return nil, nil
}

// lookup is what the guard's observer would know.
func (r *testRuntime) lookup(id string) (*api.PodSandbox, *api.Container) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.find(id)
}

// add makes containers that exist.
func (r *testRuntime) add(ids ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		r.pods = append(r.pods, testPod(id))
		r.containers = append(r.containers, testContainer(id))
	}
}

// create asks the plugins about a container.
func (r *testRuntime) create(id string) (*api.CreateContainerResponse, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	defer r.settled()()
	return r.nri.CreateContainer(ctx, &api.CreateContainerRequest{Pod: testPod(id), Container: testContainer(id)})
}

// settled keeps plugins from being synchronised, as runtimes do during requests: so
// the plugins that have been told what exists are all consulted.
func (r *testRuntime) settled() (release func()) {
	return r.nri.BlockPluginSync().Unblock
}

func testPod(id string) *api.PodSandbox {
	return &api.PodSandbox{
		Id: "pod-" + id, Name: id, Namespace: "default",
		Annotations: map[string]string{"note": "of pod " + id, "secret.example/token": "pod-token"},
	}
}

func testContainer(id string) *api.Container {
	return &api.Container{
		Id: id, PodSandboxId: "pod-" + id, Name: "main",
		Annotations: map[string]string{"kept": "as it is", "secret.example/token": "container-token"},
		Env:         []string{"PATH=/bin", "DB_PASSWORD=hunter2"},
		Args:        []string{"/bin/main"},
		Mounts:      []*api.Mount{{Destination: "/data", Type: "bind", Source: "/srv/data", Options: []string{"bind", "rw"}}},
	}
}

// shares is an update of a container's CPU shares.
func shares(id string, n uint64) *api.ContainerUpdate {
	u := &api.ContainerUpdate{}
	u.SetContainerId(id)
	u.SetLinuxCPUShares(n)
	return u
}

// sharesOf lists updates for people.
func sharesOf(updates []*api.ContainerUpdate) []string {
	list := []string{}
	for _, u := range updates {
		list = append(list, fmt.Sprintf("%s shares=%d", u.GetContainerId(), u.GetLinux().GetResources().GetCpu().GetShares().GetValue()))
	}
	return list
}

// eventually waits for something that happens on another goroutine.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("it never came to pass that %s", what)
}

var errRefused = errors.New("the runtime has other plans")
