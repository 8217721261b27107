package nritest

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/net/multiplex"
	"github.com/containerd/ttrpc"
)

// Listen serves a socket with a function, which has each connection to itself and
// closes it by returning.
func Listen(t testing.TB, socket string, serve func(net.Conn)) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
}

// Fake is the other end of a plugin's connection, for what NRI does not do or does
// no more. It is made by [Answer].
type Fake struct {
	// Plugin calls the plugin.
	Plugin api.PluginService
	// Registered is closed when the plugin has registered.
	Registered chan struct{}
	// Closed is closed when the connection is.
	Closed chan struct{}
	answer error
}

// Answer speaks the runtime's part of NRI's protocol on a connection until then
// returns, and answers the registration with an error or nil.
func Answer(c net.Conn, registration error, then func(*Fake)) {
	m := multiplex.Multiplex(c, multiplex.WithBlockedRead()) // until somebody reads what comes
	defer m.Close()                                          //nolint:errcheck // always nil
	f := &Fake{Registered: make(chan struct{}), Closed: make(chan struct{}), answer: registration}
	server, err := ttrpc.NewServer()
	if err != nil {
		return
	}
	defer server.Close() //nolint:errcheck // it is only a test's
	l, err := m.Listen(multiplex.RuntimeServiceConn)
	if err != nil {
		return
	}
	api.RegisterRuntimeService(server, f)
	plugin, err := m.Open(multiplex.PluginServiceConn)
	if err != nil {
		return
	}
	client := ttrpc.NewClient(plugin, ttrpc.WithOnClose(func() { close(f.Closed) }))
	defer client.Close() //nolint:errcheck // always nil
	f.Plugin = api.NewPluginClient(client)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(context.Background(), l)
	}()
	m.Unblock()
	then(f)
	_ = server.Close()
	<-served
}

// RegisterPlugin implements NRI's runtime service.
func (f *Fake) RegisterPlugin(context.Context, *api.RegisterPluginRequest) (*api.Empty, error) {
	close(f.Registered)
	return &api.Empty{}, f.answer
}

// UpdateContainers implements NRI's runtime service.
func (f *Fake) UpdateContainers(context.Context, *api.UpdateContainersRequest) (*api.UpdateContainersResponse, error) {
	return nil, errors.New("not here")
}
