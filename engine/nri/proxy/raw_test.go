package proxy_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/net/multiplex"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine/nri/proxy/internal/wire"
)

const (
	pluginService  = "nri.pkg.api.v1alpha1.Plugin"
	runtimeService = "nri.pkg.api.v1alpha1.Runtime"
)

// rawPlugin is a plugin that writes what it likes.
type rawPlugin struct {
	t    testing.TB
	conn net.Conn
	r    *wire.Reader
	w    *wire.Writer
	last uint32
	// early are messages that came before others that were waited for: NRI may
	// configure a plugin before it answers the registration.
	early []wire.Message
}

func dialRaw(t testing.TB, socket string) *rawPlugin {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return newRaw(t, conn)
}

func newRaw(t testing.TB, conn net.Conn) *rawPlugin {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		t.Fatal(err)
	}
	return &rawPlugin{t: t, conn: conn, r: wire.NewReader(conn), w: wire.NewWriter(conn, 0)}
}

// send writes a message.
func (p *rawPlugin) send(m wire.Message) {
	p.t.Helper()
	if err := p.w.Write(m); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		p.t.Fatal(err)
	}
}

// request is a request of the runtime.
func (p *rawPlugin) request(method string, req proto.Message) wire.Message {
	p.t.Helper()
	p.last = max(1, p.last+2)
	if p.last%2 == 0 {
		p.last++
	}
	return wire.Message{
		Conn: multiplex.RuntimeServiceConn, Stream: p.last, Type: wire.Request,
		Payload: encode(p.t, &ttrpc.Request{Service: runtimeService, Method: method, Payload: encode(p.t, req)}),
	}
}

func encode(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// answer is an answer to a request of the runtime's.
func answer(t testing.TB, to wire.Message, m proto.Message) wire.Message {
	return wire.Message{Conn: to.Conn, Stream: to.Stream, Type: wire.Response, Payload: encode(t, &ttrpc.Response{Payload: encode(t, m)})}
}

// ask makes a request and returns the error that it is answered with.
func (p *rawPlugin) ask(method string, req proto.Message) string {
	p.t.Helper()
	m := p.request(method, req)
	p.send(m)
	return errorOf(p.t, p.answered(m))
}

// answered waits for the answer to a request.
func (p *rawPlugin) answered(m wire.Message) wire.Message {
	p.t.Helper()
	for {
		got, err := p.r.Read()
		if err != nil {
			p.t.Fatal(err)
		}
		if got.Conn == m.Conn {
			if got.Stream != m.Stream || got.Type != wire.Response {
				p.t.Fatalf("request %d is answered with %+v", m.Stream, got)
			}
			return got
		}
		p.early = append(p.early, got)
	}
}

func errorOf(t testing.TB, m wire.Message) string {
	t.Helper()
	rsp := &ttrpc.Response{}
	if err := proto.Unmarshal(m.Payload, rsp); err != nil {
		t.Fatal(err)
	}
	return rsp.GetStatus().GetMessage()
}

func (p *rawPlugin) receive() wire.Message {
	p.t.Helper()
	if len(p.early) > 0 {
		m := p.early[0]
		p.early = p.early[1:]
		return m
	}
	m, err := p.r.Read()
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

// called waits for a request of the runtime's.
func (p *rawPlugin) called(method string) wire.Message {
	p.t.Helper()
	m := p.receive()
	req := &ttrpc.Request{}
	if err := proto.Unmarshal(m.Payload, req); err != nil {
		p.t.Fatal(err)
	}
	if m.Type != wire.Request || req.GetService() != pluginService || req.GetMethod() != method {
		p.t.Fatalf("asked for %s/%s, want %s", req.GetService(), req.GetMethod(), method)
	}
	return m
}

// join registers as a plugin that adjusts containers, until it is synchronised.
func (p *rawPlugin) join(index, name string) {
	p.t.Helper()
	p.subscribe(index, name, api.Event_CREATE_CONTAINER)
}

// subscribe registers as a plugin with some events, until it is synchronised.
func (p *rawPlugin) subscribe(index, name string, events ...api.Event) {
	p.t.Helper()
	if err := p.ask("RegisterPlugin", &api.RegisterPluginRequest{PluginName: name, PluginIdx: index}); err != "" {
		p.t.Fatal(err)
	}
	var mask api.EventMask
	mask.Set(events...)
	p.send(answer(p.t, p.called("Configure"), &api.ConfigureResponse{Events: int32(mask)}))
	p.send(answer(p.t, p.called("Synchronize"), &api.SynchronizeResponse{}))
}

// closed waits until the other side has closed the connection.
func (p *rawPlugin) closed() {
	p.t.Helper()
	for {
		if _, err := p.r.Read(); err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				p.t.Fatal("the connection is still open")
			}
			if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
				p.t.Errorf("the connection ends with %v", err)
			}
			return
		}
	}
}
