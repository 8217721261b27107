package proxy_test

import (
	"errors"
	"net"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine/nri/proxy"
	"github.com/nri-guard/nri-guard/engine/nri/proxy/internal/wire"
)

// relayed is a proxy between a runtime and plugins that a fuzzer speaks for.
type relayed struct {
	*rig
	listener *net.UnixListener
}

func newRelayed(f *testing.F) *relayed {
	f.Helper()
	socket := filepath.Join(shortDir(f), "runtime.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = l.Close() })
	r := rigFor(f, &testRuntime{socket: socket}, nil, func(c *proxy.Config) {
		c.Lookup = func(id string) (*api.PodSandbox, *api.Container) { return testPod(id), testContainer(id) }
		c.Plugins = []proxy.Plugin{{Name: "plugin", Events: []string{"CreateContainer"}, Redact: proxy.Redact{Env: []string{"*"}, Annotations: []string{"*"}}}}
	})
	return &relayed{rig: r, listener: l}
}

// join connects a plugin that has registered.
func (r *relayed) join(t *testing.T) (runtime, plugin *rawPlugin) {
	t.Helper()
	plugin = dialRaw(t, r.socket)
	plugin.send(plugin.request("RegisterPlugin", &api.RegisterPluginRequest{PluginName: "plugin", PluginIdx: "10"}))
	if err := r.listener.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	conn, err := r.listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	runtime = newRaw(t, conn)
	runtime.send(answer(t, runtime.receive(), &api.Empty{}))
	if got := errorOf(t, plugin.receive()); got != "" {
		t.Fatal(got)
	}
	return runtime, plugin
}

// unharmed demands that nothing has panicked, and that there is room for others.
func (r *relayed) unharmed(t *testing.T) {
	t.Helper()
	eventually(t, "nobody is connected", func() bool { return len(r.proxy.Status().Plugins) == 0 })
	if lines := r.log.lines("panic"); len(lines) > 0 {
		t.Errorf("%s", lines[0])
	}
}

// wellFormed reads what comes through to its end, and holds that it is what NRI's
// protocol has there.
func wellFormed(t *testing.T, p *rawPlugin, service string, methods []string, asked []uint32) {
	t.Helper()
	for {
		m, err := p.r.Read()
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Error("the connection stays open")
			}
			return
		}
		switch m.Type {
		case wire.Request:
			req := &ttrpc.Request{}
			if err := proto.Unmarshal(m.Payload, req); err != nil || req.GetService() != service || !slices.Contains(methods, req.GetMethod()) {
				t.Errorf("a request for %s/%s comes through, %v", req.GetService(), req.GetMethod(), err)
			}
		case wire.Response:
			if !slices.Contains(asked, m.Stream) {
				t.Errorf("an answer to %d comes through", m.Stream)
			}
		default:
			t.Errorf("a message of type %d comes through", m.Type)
		}
	}
}

// streams has messages in frames, as seeds.
func streams(f *testing.F, messages ...wire.Message) {
	var all []byte
	for _, m := range messages {
		b := &sink{}
		if err := wire.NewWriter(b, 0).Write(m); err != nil {
			f.Fatal(err)
		}
		f.Add(b.bytes)
		all = append(all, b.bytes...)
	}
	f.Add(all)
}

type sink struct{ bytes []byte }

func (s *sink) Write(p []byte) (int, error) { s.bytes = append(s.bytes, p...); return len(p), nil }

// FuzzPlugin has a plugin that has registered send any bytes.
func FuzzPlugin(f *testing.F) {
	r := newRelayed(f)
	adjust := annotation("a", "1")
	adjust.AddEnv("A", "1")
	streams(f,
		answer(f, wire.Message{Conn: onPlugin, Stream: 1}, &api.ConfigureResponse{Events: 9}),
		answer(f, wire.Message{Conn: onPlugin, Stream: 3}, &api.SynchronizeResponse{Update: []*api.ContainerUpdate{shares("a", 1)}}),
		answer(f, wire.Message{Conn: onPlugin, Stream: 5}, &api.CreateContainerResponse{Adjust: adjust, Evict: []*api.ContainerEviction{{ContainerId: "a"}}}),
		answer(f, wire.Message{Conn: onPlugin, Stream: 7}, &api.UpdateContainerResponse{Update: []*api.ContainerUpdate{shares("c", 1)}}),
		wire.Message{Conn: onRuntime, Stream: 3, Type: wire.Request, Payload: encode(f, &ttrpc.Request{
			Service: runtimeService, Method: "UpdateContainers", Payload: encode(f, &api.UpdateContainersRequest{Update: []*api.ContainerUpdate{shares("c", 1)}})})},
		wire.Message{Conn: onRuntime, Stream: 5, Type: wire.Request, Payload: encode(f, &ttrpc.Request{Service: runtimeService, Method: "Conquer"})},
		wire.Message{Conn: onRuntime, Stream: 7, Type: wire.Data},
	)
	f.Fuzz(func(t *testing.T, input []byte) {
		runtime, plugin := r.join(t)
		c := testContainer("c")
		var asked []uint32
		for _, call := range []struct {
			method string
			req    proto.Message
		}{
			{"Configure", &api.ConfigureRequest{}},
			{"Synchronize", &api.SynchronizeRequest{Containers: []*api.Container{c}}},
			{"CreateContainer", &api.CreateContainerRequest{Container: c}},
			{"UpdateContainer", &api.UpdateContainerRequest{Container: c}},
		} {
			m := (&rawRuntime{rawPlugin: *runtime}).call(call.method, call.req)
			runtime.last = m.Stream
			runtime.send(m)
			plugin.called(call.method)
			asked = append(asked, m.Stream)
		}
		_, _ = plugin.conn.Write(input)
		_ = plugin.conn.(*net.UnixConn).CloseWrite()
		wellFormed(t, runtime, runtimeService, []string{"UpdateContainers"}, asked)
		r.unharmed(t)
	})
}

// FuzzGreeting has a plugin that has not registered send any bytes.
func FuzzGreeting(f *testing.F) {
	r := newRelayed(f)
	request := func(method string, m proto.Message) wire.Message {
		return wire.Message{Conn: onRuntime, Stream: 1, Type: wire.Request,
			Payload: encode(f, &ttrpc.Request{Service: runtimeService, Method: method, Payload: encode(f, m)})}
	}
	streams(f,
		request("RegisterPlugin", &api.RegisterPluginRequest{PluginName: "default-validator", PluginIdx: "00"}),
		request("UpdateContainers", &api.UpdateContainersRequest{}),
		wire.Message{Conn: onPlugin, Stream: 1, Type: wire.Response},
	)
	f.Fuzz(func(t *testing.T, input []byte) {
		p := dialRaw(t, r.socket)
		_, _ = p.conn.Write(input)
		_ = p.conn.(*net.UnixConn).CloseWrite()
		// The runtime is not there to answer: whoever gets as far as that is let go.
		go func() {
			if r.listener.SetDeadline(time.Now().Add(10*time.Millisecond)) == nil {
				if conn, err := r.listener.Accept(); err == nil {
					_ = conn.Close()
				}
			}
		}()
		p.closed()
		r.unharmed(t)
	})
}

// FuzzRuntime has the runtime send any bytes.
func FuzzRuntime(f *testing.F) {
	r := newRelayed(f)
	var messages []wire.Message
	for i, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range secretive() {
			if !yield(name) {
				return
			}
		}
	}) {
		messages = append(messages, wire.Message{Conn: onPlugin, Stream: uint32(2*i + 1), Type: wire.Request,
			Payload: encode(f, &ttrpc.Request{Service: pluginService, Method: name, Payload: encode(f, secretive()[name])})})
	}
	streams(f, append(messages, wire.Message{Conn: onRuntime, Stream: 3, Type: wire.Response})...)
	known := []string{"Configure", "Shutdown"}
	for name := range secretive() {
		known = append(known, name)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		runtime, plugin := r.join(t)
		_, _ = runtime.conn.Write(input)
		_ = runtime.conn.(*net.UnixConn).CloseWrite()
		wellFormed(t, plugin, pluginService, known, nil)
		r.unharmed(t)
	})
}
