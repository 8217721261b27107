package proxy_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/net/multiplex"
	"github.com/containerd/ttrpc"

	"github.com/nri-guard/nri-guard/engine/nri/proxy"
	"github.com/nri-guard/nri-guard/engine/nri/proxy/internal/wire"
)

// mustServe demands that a plugin which behaves is served as ever.
func (r *rig) mustServe(t testing.TB, id string) {
	t.Helper()
	rpl, err := r.runtime.create(id)
	if err != nil {
		t.Fatal(err)
	}
	if got := rpl.GetAdjust().GetAnnotations()["by.GOOD"]; got != "1" {
		t.Errorf("the plugin that behaves is lost: %v", rpl.GetAdjust())
	}
}

// bytesOf writes bytes as they are.
func bytesOf(b ...byte) func(*rawPlugin) {
	return func(p *rawPlugin) { _, _ = p.conn.Write(b) }
}

// message writes a message of ttrpc.
func message(m wire.Message) func(*rawPlugin) {
	return func(p *rawPlugin) { p.send(m) }
}

const (
	onPlugin  = multiplex.PluginServiceConn
	onRuntime = multiplex.RuntimeServiceConn
)

// breaches end the connection of the plugin that commits them. What is logged
// says why.
var breaches = []struct {
	name   string
	commit func(*rawPlugin)
	reason string
	// member breaches are committed by plugins that have joined.
	member bool
	// silent ones end when the time for registering is over.
	silent bool
}{
	{name: "a connection that does not exist", commit: bytesOf(0, 0, 0, 9, 0, 0, 0, 1, 7), reason: "connection 9, which does not exist"},
	{name: "a frame of 4 GiB", commit: bytesOf(0, 0, 0, 2, 255, 255, 255, 255), reason: "a frame of 4294967295 bytes"},
	{name: "a message that announces 4 GiB", commit: bytesOf(0, 0, 0, 2, 0, 0, 0, 10, 255, 255, 255, 255, 0, 0, 0, 1, 1, 0), reason: "a message of 4294967295 bytes; at most 65536 are allowed"},
	{name: "an answer before anything was asked", commit: message(wire.Message{Conn: onPlugin, Stream: 1, Type: wire.Response}), reason: "answers what it was not asked"},
	{name: "a stream before registration", commit: message(wire.Message{Conn: onRuntime, Stream: 1, Type: wire.Data}), reason: "streams are not relayed"},
	{name: "a request that cannot be read", commit: message(wire.Message{Conn: onRuntime, Stream: 1, Type: wire.Request, Payload: []byte{0xff}}), reason: "Request cannot be read"},
	{name: "an even number", commit: message(wire.Message{Conn: onRuntime, Stream: 2, Type: wire.Request}), reason: "numbers are odd and go up"},
	{name: "a large message before registration", commit: func(p *rawPlugin) {
		p.send(p.request("RegisterPlugin", &api.RegisterPluginRequest{PluginName: strings.Repeat("x", 70_000)}))
	}, reason: "at most 65536 are allowed"},
	{name: "a registration that cannot be read", commit: func(p *rawPlugin) {
		m := p.request("RegisterPlugin", &api.Empty{})
		m.Payload = encode(p.t, &ttrpc.Request{Service: runtimeService, Method: "RegisterPlugin", Payload: []byte{0xff}})
		p.send(m)
	}, reason: "RegisterPluginRequest cannot be read"},
	{name: "much talk and no registration", commit: func(p *rawPlugin) {
		for range 16 {
			p.ask("UpdateContainers", &api.UpdateContainersRequest{})
		}
	}, reason: "16 requests without registering"},
	{silent: true, name: "nothing", commit: func(*rawPlugin) {}, reason: "before registering"},
	{silent: true, name: "half a frame", commit: bytesOf(0, 0, 0, 2, 0, 0, 0, 50, 1, 2, 3), reason: "before registering"},

	{member: true, name: "a connection that does not exist, later", commit: bytesOf(0, 0, 0, 9, 0, 0, 0, 1, 7), reason: "connection 9, which does not exist"},
	{member: true, name: "an answer to what was never asked", commit: message(wire.Message{Conn: onPlugin, Stream: 99, Type: wire.Response}), reason: "answers request 99, which was never made"},
	{member: true, name: "an answer with an even number", commit: message(wire.Message{Conn: onPlugin, Stream: 2, Type: wire.Response}), reason: "answers request 2, which was never made"},
	{member: true, name: "a request where an answer is due", commit: message(wire.Message{Conn: onPlugin, Stream: 1, Type: wire.Request}), reason: "where an answer is due"},
	{member: true, name: "data of a stream, on which ttrpc's server panics", commit: message(wire.Message{Conn: onRuntime, Stream: 77, Type: wire.Data}), reason: "streams are not relayed"},
	{member: true, name: "data of a stream, to the runtime's client", commit: message(wire.Message{Conn: onPlugin, Stream: 1, Type: wire.Data}), reason: "streams are not relayed"},
	{member: true, name: "a request that opens a stream", commit: func(p *rawPlugin) {
		m := p.request("UpdateContainers", &api.UpdateContainersRequest{})
		m.Flags = 2
		p.send(m)
	}, reason: "streams are not relayed"},
	{member: true, name: "a number that was there before", commit: func(p *rawPlugin) {
		p.last -= 2
		p.send(p.request("UpdateContainers", &api.UpdateContainersRequest{}))
	}, reason: "numbers are odd and go up"},
	{member: true, name: "updates that cannot be read", commit: func(p *rawPlugin) {
		m := p.request("UpdateContainers", &api.Empty{})
		m.Payload = encode(p.t, &ttrpc.Request{Service: runtimeService, Method: "UpdateContainers", Payload: []byte{0x0a, 0xff}})
		p.send(m)
	}, reason: "UpdateContainersRequest cannot be read"},
	{member: true, name: "a million updates that are empty", commit: func(p *rawPlugin) {
		m := p.request("UpdateContainers", &api.Empty{})
		m.Payload = encode(p.t, &ttrpc.Request{Service: runtimeService, Method: "UpdateContainers", Payload: bytes.Repeat([]byte{0x0a, 0}, 1<<20)})
		p.send(m)
	}, reason: "UpdateContainersRequest has too many fields; at most 262144 are allowed"},
	{member: true, name: "metadata without end", commit: func(p *rawPlugin) {
		m := p.request("UpdateContainers", &api.Empty{})
		m.Payload = bytes.Repeat([]byte{0x2a, 0}, 1<<20)
		p.send(m)
	}, reason: "Request has too many fields; at most 262144 are allowed"},
}

func TestBreachesHarmNobodyElse(t *testing.T) {
	r := newRig(t, nil, func(c *proxy.Config) { c.Limits.Register = patience })
	hasty := rigFor(t, r.runtime, nil, func(c *proxy.Config) { c.Limits.Register = 100 * time.Millisecond })
	connect(t, r.socket, "10", "good", setting("GOOD", "1"))
	for i, tt := range breaches {
		t.Run(tt.name, func(t *testing.T) {
			r := r
			if tt.silent {
				r = hasty
			}
			p := dialRaw(t, r.socket)
			name := "anonymous"
			if tt.member {
				name = fmt.Sprintf("breach%d", i)
				p.join("20", name)
			}
			before := len(r.log.lines("level=warning", tt.reason))
			tt.commit(p)
			p.closed()
			eventually(t, "the reason is logged", func() bool {
				return len(r.log.lines("level=warning", tt.reason)) > before
			})
			r.mustServe(t, "c"+name)
		})
	}
	if got := r.proxy.Status().Plugins; len(got) != 1 || got[0].Name != "good" {
		t.Errorf("connected are %v", got)
	}
}

// ends are how a plugin can end in the middle of a creation: the runtime goes on
// without it, as it does without the proxy.
var ends = map[string]func(*rawPlugin, wire.Message){
	"half an answer": func(p *rawPlugin, m wire.Message) {
		b := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 1, 0, 0, 0, 20}, 1000)
		_, _ = p.conn.Write(append(binary.BigEndian.AppendUint32(b, m.Stream), 2, 0, 1, 2))
		_ = p.conn.Close()
	},
	"half an answer that is too long": func(p *rawPlugin, m wire.Message) {
		b := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 1, 0, 0, 0, 20}, 5<<20)
		_, _ = p.conn.Write(append(binary.BigEndian.AppendUint32(b, m.Stream), 2, 0, 1, 2))
		_ = p.conn.Close()
	},
	"nothing, and the end": func(p *rawPlugin, m wire.Message) { _ = p.conn.Close() },
}

func TestEndsInTheMiddle(t *testing.T) {
	r := newRig(t, nil)
	connect(t, r.socket, "10", "good", setting("GOOD", "1"))
	for name, reply := range ends {
		t.Run(name, func(t *testing.T) {
			p := dialRaw(t, r.socket)
			p.join("20", "broken")
			var wg sync.WaitGroup
			wg.Go(func() { reply(p, p.called("CreateContainer")) })
			r.mustServe(t, "c")
			wg.Wait()
			eventually(t, "the plugin is gone", func() bool { return len(r.proxy.Status().Plugins) == 1 })
			r.mustServe(t, "d")
		})
	}
}

// Fields of a newer NRI at the top of a reply could mean anything: the request is
// refused, and the plugin stays.
func TestFieldsNobodyKnows(t *testing.T) {
	r := newRig(t, nil)
	p := dialRaw(t, r.socket)
	p.join("20", "modern")
	var wg sync.WaitGroup
	wg.Go(func() {
		m := p.called("CreateContainer")
		p.send(wire.Message{Conn: m.Conn, Stream: m.Stream, Type: wire.Response, Payload: encode(t, &ttrpc.Response{Payload: []byte{0xa2, 0x06, 0x01, 'x'}})})
		p.send(answer(t, p.called("CreateContainer"), &api.CreateContainerResponse{}))
	})
	_, err := r.runtime.create("c")
	if want := "malformed request: the message has a field that this build does not know: CreateContainerResponse#100"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v does not say %q", err, want)
	}
	if _, err := r.runtime.create("c"); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

// What this build does not know, or is not for plugins, is refused, and the
// connection goes on.
func TestRefusedRequests(t *testing.T) {
	r := newRig(t, nil)
	p := dialRaw(t, r.socket)
	if got, want := p.ask("UpdateContainers", &api.UpdateContainersRequest{}), "register first"; got != want {
		t.Errorf("answer %q, want %q", got, want)
	}
	if got, want := p.ask("Conquer", &api.Empty{}), "the guard does not relay nri.pkg.api.v1alpha1.Runtime/Conquer"; got != want {
		t.Errorf("answer %q, want %q", got, want)
	}
	p.join("10", "curious")
	for method, want := range map[string]string{
		"RegisterPlugin": "the plugin has registered already",
		"Conquer":        "the guard does not relay nri.pkg.api.v1alpha1.Runtime/Conquer",
	} {
		if got := p.ask(method, &api.RegisterPluginRequest{PluginName: "other", PluginIdx: "99"}); got != want {
			t.Errorf("%s: answer %q, want %q", method, got, want)
		}
	}
	if got := p.ask("UpdateContainers", &api.UpdateContainersRequest{}); got != "" {
		t.Errorf("an update is refused: %s", got)
	}
}

// A plugin that floods is refused what is too much.
func TestFlood(t *testing.T) {
	r := newRig(t, nil, func(c *proxy.Config) { c.Limits.Requests = 4 })
	connect(t, r.socket, "10", "good", setting("GOOD", "1"))
	r.runtime.add("c")
	// The runtime holds on to what it is asked.
	hold := r.runtime.hold()
	p := dialRaw(t, r.socket)
	p.subscribe("20", "flooding", api.Event_STOP_POD_SANDBOX)
	const asked = 50
	for range asked {
		p.send(p.request("UpdateContainers", &api.UpdateContainersRequest{Update: []*api.ContainerUpdate{shares("c", 1)}}))
	}
	r.mustServe(t, "x")
	refused := 0
	for range asked - 4 {
		if got := errorOf(t, p.receive()); got != "too many requests are under way" {
			t.Errorf("answer %q", got)
		}
		refused++
	}
	hold()
	for range 4 {
		if got := errorOf(t, p.receive()); got != "" {
			t.Errorf("answer %q", got)
		}
	}
	if n := len(r.runtime.askedFor()); n != 4 {
		t.Errorf("the runtime was asked %d times", n)
	}
}

// A plugin that does not read is not waited for forever.
func TestPluginThatDoesNotRead(t *testing.T) {
	r := newRig(t, nil, func(c *proxy.Config) { c.Limits.Write = 300 * time.Millisecond })
	p := dialRaw(t, r.socket)
	p.join("20", "deaf")
	go func() {
		// Until nothing more goes through in either direction.
		for {
			if p.w.Write(p.request("Conquer", &api.Empty{})) != nil {
				return
			}
		}
	}()
	eventually(t, "it is disconnected", func() bool { return len(r.proxy.Status().Plugins) == 0 })
}

// Connections that say nothing delay nobody's registration.
func TestSilentConnections(t *testing.T) {
	r := newRig(t, nil)
	unleash(t, r, "silent", 0, hogsEach) // more than there can be
	eventually(t, "there are many", func() bool { return len(r.log.lines("it did not register, and others want to connect")) > 100 })
	connect(t, r.socket, "10", "good", setting("GOOD", "1"))
	r.mustServe(t, "c")
}

// Who has registered stays, whoever comes.
func TestTooManyConnections(t *testing.T) {
	r := newRig(t, nil, func(c *proxy.Config) { c.Limits.Connections = 2 })
	a, b := dialRaw(t, r.socket), dialRaw(t, r.socket)
	a.join("10", "a")
	c := dialRaw(t, r.socket)
	b.closed() // it has not registered
	c.join("20", "c")
	d := dialRaw(t, r.socket)
	d.closed()
	_ = a.conn.Close()
	eventually(t, "there is room again", func() bool {
		d := dialRaw(t, r.socket)
		defer d.conn.Close() //nolint:errcheck // it is done with
		d.send(d.request("UpdateContainers", &api.UpdateContainersRequest{}))
		_, err := d.r.Read()
		return err == nil
	})
}
