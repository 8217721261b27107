package nri_test

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/net/multiplex"
	"github.com/containerd/ttrpc"

	"github.com/nri-guard/nri-guard/engine"
)

// rawPlugin speaks NRI's protocol without its stub, and so may say what it likes
// when it likes.
type rawPlugin struct {
	api.PluginService // nil: what is not answered below panics, on the plugin's side
	runtime           api.RuntimeService
	synchronized      chan struct{}
	closed            chan struct{}
}

func (p *rawPlugin) Configure(context.Context, *api.ConfigureRequest) (*api.ConfigureResponse, error) {
	var mask api.EventMask
	mask.Set(api.Event_REMOVE_CONTAINER)
	return &api.ConfigureResponse{Events: int32(mask)}, nil
}

func (p *rawPlugin) Synchronize(context.Context, *api.SynchronizeRequest) (*api.SynchronizeResponse, error) {
	close(p.synchronized)
	return &api.SynchronizeResponse{}, nil
}

func dialRaw(t *testing.T, socket string) *rawPlugin {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	mux := multiplex.Multiplex(conn)
	t.Cleanup(func() { _ = mux.Close() })
	listener, err := mux.Listen(multiplex.PluginServiceConn)
	if err != nil {
		t.Fatal(err)
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	p := &rawPlugin{synchronized: make(chan struct{}), closed: make(chan struct{})}
	api.RegisterPluginService(server, p)
	go func() { _ = server.Serve(context.Background(), listener) }()
	t.Cleanup(func() { _ = server.Close() })
	client, err := mux.Open(multiplex.RuntimeServiceConn)
	if err != nil {
		t.Fatal(err)
	}
	p.runtime = api.NewRuntimeClient(ttrpc.NewClient(client, ttrpc.WithOnClose(func() { close(p.closed) })))
	return p
}

func (p *rawPlugin) register(index, name string) error {
	_, err := p.runtime.RegisterPlugin(context.Background(), &api.RegisterPluginRequest{PluginIdx: index, PluginName: name})
	return err
}

func (p *rawPlugin) update(ctx context.Context, u ...*api.ContainerUpdate) error {
	_, err := p.runtime.UpdateContainers(ctx, &api.UpdateContainersRequest{Update: u})
	return err
}

// TestUpdateWithoutRegistration has no effect.
func TestUpdateWithoutRegistration(t *testing.T) {
	t.Parallel()
	d, cfg := newTestDaemon(t, rules(nil))
	d.add("c")
	d.start(t, cfg)
	p := dialRaw(t, cfg.SocketPath)
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	mustSay(t, p.update(ctx, shares("c", 1)), "has not been synchronised yet")
	if got := d.carriedOut(); got != nil {
		t.Errorf("carried out %q", got)
	}
}

// TestRenaming: a plugin cannot take another's name once it has its own.
func TestRenaming(t *testing.T) {
	t.Parallel()
	var plugin engine.Plugin
	d, cfg := newTestDaemon(t, rules(func(r *engine.Review) []engine.Violation { plugin = r.Plugin; return nil }))
	d.add("c")
	d.start(t, cfg)
	p := dialRaw(t, cfg.SocketPath)
	if err := p.register("10", "small"); err != nil {
		t.Fatal(err)
	}
	<-p.synchronized
	mustSay(t, p.register("00", "trusted"), "registered already")
	if err := p.update(d.ctx, shares("c", 1)); err != nil {
		t.Fatal(err)
	}
	if want := (engine.Plugin{Index: "10", Name: "small"}); plugin != want {
		t.Errorf("the update is put down to %v", plugin)
	}
	if got := d.nri.Info().Plugins; !slices.Equal(got, []string{"10-small"}) {
		t.Errorf("connected: %q", got)
	}
}

// TestRegistrationAfterShutdown: the connection was there before, and is closed.
func TestRegistrationAfterShutdown(t *testing.T) {
	t.Parallel()
	d, cfg := startTestDaemon(t, rules(nil))
	p := dialRaw(t, cfg.SocketPath)
	time.Sleep(20 * time.Millisecond) // for NRI to accept it
	if err := d.nri.Shutdown(d.ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.register("10", "late"); err == nil {
		t.Error("it was registered")
	}
	eventually(t, "the connection is closed", func() bool {
		select {
		case <-p.closed:
			return true
		default:
			return false
		}
	})
}

// TestInvalidNames are refused by NRI, and others may connect still.
func TestInvalidNames(t *testing.T) {
	t.Parallel()
	d, cfg := startTestDaemon(t, rules(nil))
	for _, name := range []string{"", "a b", "a\x00b", "../x"} {
		if err := dialRaw(t, cfg.SocketPath).register("10", name); err == nil {
			t.Errorf("%q was registered", name)
		}
	}
	connect(t, cfg.SocketPath, "10", "good", &testPlugin{})
	d.waitFor(t, 1)
}

// TestGarbage on the socket ends that connection and nothing else.
func TestGarbage(t *testing.T) {
	t.Parallel()
	d, cfg := startTestDaemon(t, rules(nil))
	for _, bytes := range [][]byte{
		[]byte("GET / HTTP/1.1\r\n\r\n"),
		{0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff},
		{0, 0, 0, 2, 0, 0, 0, 4, 1, 2, 3, 4},
	} {
		conn, err := net.Dial("unix", cfg.SocketPath)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(bytes); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	connect(t, cfg.SocketPath, "10", "good", asks(annotation("a", "1")))
	d.waitFor(t, 1)
	if _, err := d.create("c"); err != nil {
		t.Error(err)
	}
}
