package tests

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/ttrpc"
)

// runtimed is a container runtime as far as plugins can tell: NRI's own adaptation.
type runtimed struct {
	*adaptation.Adaptation
	count   atomic.Int64
	mu      sync.Mutex
	clients []*ttrpc.Client
}

// serve starts a runtime on the node's socket.
func (n *node) serve() *runtimed {
	n.t.Helper()
	d := &runtimed{}
	var err error
	d.Adaptation, err = adaptation.New("testd", "1.2.3",
		func(ctx context.Context, tell adaptation.SyncCB) error { _, err := tell(ctx, nil, nil); return err },
		func(context.Context, []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) { return nil, nil },
		adaptation.WithSocketPath(n.runtime), adaptation.WithMetrics(d),
		adaptation.WithTTRPCOptions([]ttrpc.ClientOpts{d.connected}, nil), adaptation.WithPluginPath(filepath.Join(n.dir, "none")))
	if err == nil {
		err = d.Start()
	}
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(d.kill)
	return d
}

func (d *runtimed) connected(c *ttrpc.Client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clients = append(d.clients, c)
}

// kill is what happens when the process ends: NRI stops, which leaves connections
// open, and these are closed.
func (d *runtimed) kill() {
	d.Stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.clients {
		_ = c.Close()
	}
	d.clients = nil
}

// create asks the plugins about a container.
func (d *runtimed) create(id string) (*api.ContainerAdjustment, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := d.CreateContainer(ctx, &api.CreateContainerRequest{
		Pod:       &api.PodSandbox{Id: "p" + id, Name: "web", Namespace: "shop"},
		Container: &api.Container{Id: id, PodSandboxId: "p" + id, Name: "app", Env: []string{"PATH=/bin"}, Linux: &api.LinuxContainer{Resources: &api.LinuxResources{}}},
	})
	return r.GetAdjust(), err
}

// plug starts a plugin process that dials a socket.
func (n *node) plug(socket, index, name, adjust string) *exec.Cmd {
	n.t.Helper()
	spec, err := json.Marshal(plugin{Name: name, Index: index, Socket: socket, Adjust: json.RawMessage(adjust)})
	if err != nil {
		n.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asPlugin+"="+string(spec))
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// UpdatePluginCount implements [adaptation.Metrics].
func (d *runtimed) UpdatePluginCount(n int) { d.count.Store(int64(n)) }

// RecordPluginInvocation implements [adaptation.Metrics].
func (d *runtimed) RecordPluginInvocation(string, string, error) {}

// RecordPluginLatency implements [adaptation.Metrics].
func (d *runtimed) RecordPluginLatency(string, string, time.Duration) {}

// RecordPluginAdjustments implements [adaptation.Metrics].
func (d *runtimed) RecordPluginAdjustments(string, string, *api.ContainerAdjustment, int, int) {}

// plugins is how many are connected, the guard's own among them.
func (d *runtimed) plugins() int { return int(d.count.Load()) }

// manager is the service manager's end of sd_notify.
type manager struct {
	t    testing.TB
	path string
	conn *net.UnixConn
}

func (n *node) listenNotify() *manager {
	n.t.Helper()
	path := filepath.Join(n.dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = conn.Close() })
	return &manager{n.t, path, conn}
}

// next waits for a message that matches, and forgets those before it.
func (m *manager) next(pattern string) {
	m.t.Helper()
	want, buffer := regexp.MustCompile(pattern), make([]byte, 4096)
	if err := m.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		m.t.Fatal(err)
	}
	var seen []string
	for {
		size, err := m.conn.Read(buffer)
		if err != nil {
			m.t.Fatalf("no message matches %q; there were %q", pattern, seen)
		}
		if want.Match(buffer[:size]) {
			return
		}
		seen = append(seen, string(buffer[:size]))
	}
}
