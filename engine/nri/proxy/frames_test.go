package proxy_test

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/net/multiplex"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/proxy"
	"github.com/nri-guard/nri-guard/engine/nri/proxy/internal/wire"
)

// rawRuntime is a runtime that writes what it likes, to one plugin.
type rawRuntime struct {
	rawPlugin
	listener net.Listener
}

// newRawRig puts a proxy between a raw runtime and a raw plugin, which has
// registered.
func newRawRig(t testing.TB, judge func(*engine.Review) []engine.Violation, change ...func(*proxy.Config)) (*rawRuntime, *rawPlugin, *rig) {
	t.Helper()
	socket := filepath.Join(shortDir(t), "runtime.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	r := rigFor(t, &testRuntime{socket: socket}, judge, change...)
	p := dialRaw(t, r.socket)
	m := p.request("RegisterPlugin", &api.RegisterPluginRequest{PluginName: "plugin", PluginIdx: "10", NRIVersion: "v0"})
	p.send(m)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	runtime := &rawRuntime{*newRaw(t, conn), l}
	got := runtime.receive()
	reg := &api.RegisterPluginRequest{}
	decode(t, got, reg)
	if reg.GetPluginName() != "plugin" || reg.GetPluginIdx() != "10" || reg.GetNRIVersion() != "v0" {
		t.Fatalf("registration: %v", reg)
	}
	runtime.send(answer(t, got, &api.Empty{}))
	if err := errorOf(t, p.receive()); err != "" {
		t.Fatal(err)
	}
	return runtime, p, r
}

// decode reads the payload of a request or an answer.
func decode(t testing.TB, m wire.Message, into proto.Message) {
	t.Helper()
	payload := func() []byte {
		if m.Type == wire.Request {
			req := &ttrpc.Request{}
			if err := proto.Unmarshal(m.Payload, req); err != nil {
				t.Fatal(err)
			}
			return req.GetPayload()
		}
		rsp := &ttrpc.Response{}
		if err := proto.Unmarshal(m.Payload, rsp); err != nil {
			t.Fatal(err)
		}
		return rsp.GetPayload()
	}()
	if err := proto.Unmarshal(payload, into); err != nil {
		t.Fatal(err)
	}
}

// call is a request of the plugin.
func (r *rawRuntime) call(method string, req proto.Message) wire.Message {
	r.t.Helper()
	m := r.request(method, req)
	m.Conn = multiplex.PluginServiceConn
	m.Payload = encode(r.t, &ttrpc.Request{Service: pluginService, Method: method, Payload: encode(r.t, req)})
	return m
}

// exchange has the plugin answer a request, and returns what it saw and what came
// back.
func exchange(r *rawRuntime, p *rawPlugin, method string, req, rpl proto.Message) (seen, came wire.Message) {
	r.t.Helper()
	r.send(r.call(method, req))
	seen = p.called(method)
	p.send(answer(r.t, seen, rpl))
	return seen, r.receive()
}

// Every method goes through, with nothing changed.
func TestFramesPassAsTheyAre(t *testing.T) {
	r, p, _ := newRawRig(t, nil)
	c, pod := testContainer("c"), testPod("c")
	for method, req := range map[string]proto.Message{
		"Configure":                   &api.ConfigureRequest{RuntimeName: "testd", RequestTimeout: 5000},
		"Synchronize":                 &api.SynchronizeRequest{Pods: []*api.PodSandbox{pod}, Containers: []*api.Container{c}, More: true},
		"Shutdown":                    &api.Empty{},
		"RunPodSandbox":               &api.RunPodSandboxRequest{Pod: pod},
		"UpdatePodSandbox":            &api.UpdatePodSandboxRequest{Pod: pod},
		"PostUpdatePodSandbox":        &api.PostUpdatePodSandboxRequest{Pod: pod},
		"StopPodSandbox":              &api.StopPodSandboxRequest{Pod: pod},
		"RemovePodSandbox":            &api.RemovePodSandboxRequest{Pod: pod},
		"CreateContainer":             &api.CreateContainerRequest{Pod: pod, Container: c},
		"PostCreateContainer":         &api.PostCreateContainerRequest{Pod: pod, Container: c},
		"StartContainer":              &api.StartContainerRequest{Pod: pod, Container: c},
		"PostStartContainer":          &api.PostStartContainerRequest{Pod: pod, Container: c},
		"UpdateContainer":             &api.UpdateContainerRequest{Pod: pod, Container: c, LinuxResources: &api.LinuxResources{}},
		"PostUpdateContainer":         &api.PostUpdateContainerRequest{Pod: pod, Container: c},
		"StopContainer":               &api.StopContainerRequest{Pod: pod, Container: c},
		"RemoveContainer":             &api.RemoveContainerRequest{Pod: pod, Container: c},
		"StateChange":                 &api.StateChangeEvent{Pod: pod, Container: c},
		"ValidateContainerAdjustment": &api.ValidateContainerAdjustmentRequest{Pod: pod, Container: c},
	} {
		m := r.call(method, req)
		r.send(m)
		if got := p.called(method); string(got.Payload) != string(m.Payload) || got.Stream != m.Stream || got.Conn != m.Conn {
			t.Errorf("%s: the request is another one: %+v", method, got)
		}
		// An answer with a status is the plugin's own affair.
		failed := wire.Message{Conn: m.Conn, Stream: m.Stream, Type: wire.Response, Payload: []byte("\x0a\x04\x08\x0c\x12\x00\x12\x02\xff\xff")}
		p.send(failed)
		if got := r.receive(); string(got.Payload) != string(failed.Payload) || got.Stream != m.Stream {
			t.Errorf("%s: the failure is another one: %+v", method, got)
		}
	}
}

func TestMethodsOfTheRuntimeNobodyKnows(t *testing.T) {
	r, p, _ := newRawRig(t, nil)
	r.send(r.call("Annex", &api.Empty{}))
	if got, want := errorOf(t, r.receive()), "the guard does not relay nri.pkg.api.v1alpha1.Plugin/Annex"; got != want {
		t.Errorf("answer %q, want %q", got, want)
	}
	exchange(r, p, "Shutdown", &api.Empty{}, &api.Empty{})
}

func TestSubscriptions(t *testing.T) {
	mask := func(events ...api.Event) int32 {
		var m api.EventMask
		m.Set(events...)
		return int32(m)
	}
	create, stop, validate := api.Event_CREATE_CONTAINER, api.Event_STOP_CONTAINER, api.Event_VALIDATE_CONTAINER_ADJUSTMENT
	for _, tt := range []struct {
		name    string
		allowed []string
		wanted  int32
		want    int32
		refused string
	}{
		{name: "all are allowed", wanted: mask(create, validate), want: mask(create, validate)},
		{name: "everything that there is, by 0", wanted: 0, want: 0},
		{name: "some are allowed", allowed: []string{"CreateContainer", "StopContainer"}, wanted: mask(create, validate), want: mask(create)},
		{name: "some are allowed, 0 is not all", allowed: []string{"CreateContainer", "StopContainer"}, wanted: 0, want: mask(create, stop)},
		{name: "none of those wanted is allowed", allowed: []string{"StopContainer"}, wanted: mask(create, validate),
			refused: "none of the events that plugin 10-plugin wants (CreateContainer,ValidateContainerAdjustment) is one that it may subscribe to"},
		{name: "of a newer NRI", wanted: mask(create) | 1<<20, want: mask(create)},
		{name: "of a newer NRI alone", wanted: 1 << 20, refused: "unknown(0x100000)"},
		{name: "a negative one", wanted: -1 << 31, refused: "none of the events"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, p, g := newRawRig(t, nil, func(c *proxy.Config) { c.Plugins = []proxy.Plugin{{Name: "plugin", Events: tt.allowed}} })
			policy := &api.FailurePolicy{FailRequest: true}
			_, came := exchange(r, p, "Configure", &api.ConfigureRequest{}, &api.ConfigureResponse{Events: tt.wanted, FailurePolicy: policy})
			if tt.refused != "" {
				if got := errorOf(t, came); !strings.Contains(got, tt.refused) {
					t.Errorf("answer %q does not say %q", got, tt.refused)
				}
				r.closed()
				p.closed()
				eventually(t, "the reason is logged", func() bool {
					return len(g.log.lines("level=warning", "plugin=10-plugin", "disconnected by the guard", "denied RegisterPlugin", tt.refused)) == 1
				})
				made := g.decisions.of(engine.RegisterPlugin)
				if len(made) != 2 || made[1].decision.Allowed || !strings.Contains(strings.Join(made[1].decision.Reasons(), ""), tt.refused) {
					t.Errorf("recorded: %+v", made)
				}
				return
			}
			rpl := &api.ConfigureResponse{}
			decode(t, came, rpl)
			if rpl.GetEvents() != tt.want || !rpl.GetFailurePolicy().GetFailRequest() {
				t.Errorf("the runtime is told %v", rpl)
			}
		})
	}
}

// What is taken out is not in the frame that the runtime gets.
func TestStrippedFrames(t *testing.T) {
	r, p, _ := newRawRig(t, func(r *engine.Review) []engine.Violation {
		return append(objectTo(engine.Eviction, engine.Strip)(r), objectTo(engine.Env, engine.Strip)(r)...)
	}, func(c *proxy.Config) {
		c.Lookup = func(id string) (*api.PodSandbox, *api.Container) { return testPod(id), testContainer(id) }
	})
	evict := []*api.ContainerEviction{{ContainerId: "a"}}
	adjust := annotation("kept", "2")
	adjust.AddEnv("A", "1")
	update := []*api.ContainerUpdate{shares("a", 3)}
	req := &api.CreateContainerRequest{Pod: testPod("c"), Container: testContainer("c")}
	_, came := exchange(r, p, "CreateContainer", req, &api.CreateContainerResponse{Adjust: adjust, Update: update, Evict: evict})
	created := &api.CreateContainerResponse{}
	decode(t, came, created)
	want := &api.CreateContainerResponse{Adjust: annotation("kept", "2"), Update: update}
	if !proto.Equal(created, want) {
		t.Errorf("created %v, want %v", created, want)
	}
	_, came = exchange(r, p, "UpdateContainer", &api.UpdateContainerRequest{Container: testContainer("c")}, &api.UpdateContainerResponse{Update: update, Evict: evict})
	updated := &api.UpdateContainerResponse{}
	decode(t, came, updated)
	if !proto.Equal(updated, &api.UpdateContainerResponse{Update: update}) {
		t.Errorf("updated %v", updated)
	}
	p.send(p.request("UpdateContainers", &api.UpdateContainersRequest{Update: update, Evict: evict}))
	asked := &api.UpdateContainersRequest{}
	decode(t, r.receive(), asked)
	if !proto.Equal(asked, &api.UpdateContainersRequest{Update: update}) {
		t.Errorf("asked for %v", asked)
	}
}

// An update that a plugin asks for by itself, and that is judged for long, does not
// hold up what the runtime waits for.
func TestCallsOvertakeUnsolicitedUpdates(t *testing.T) {
	judging, slow := make(chan struct{}), make(chan struct{})
	free := sync.OnceFunc(func() { close(slow) })
	r, p, _ := newRawRig(t, func(r *engine.Review) []engine.Violation {
		if r.Operation == engine.UpdateContainers {
			close(judging)
			<-slow
		}
		return nil
	}, func(c *proxy.Config) {
		c.Lookup = func(id string) (*api.PodSandbox, *api.Container) { return testPod(id), testContainer(id) }
	})
	t.Cleanup(free)
	asked := p.request("UpdateContainers", &api.UpdateContainersRequest{Update: []*api.ContainerUpdate{shares("slow", 1)}})
	p.send(asked)
	<-judging
	req := &api.CreateContainerRequest{Pod: testPod("c"), Container: testContainer("c")}
	exchange(r, p, "CreateContainer", req, &api.CreateContainerResponse{Adjust: annotation("kept", "2")})
	free()
	came := r.receive()
	late := &api.UpdateContainersRequest{}
	decode(t, came, late)
	if got := late.GetUpdate()[0].GetContainerId(); got != "slow" {
		t.Errorf("update of %s, want slow", got)
	}
	r.send(answer(t, came, &api.UpdateContainersResponse{}))
	if got := p.receive(); got.Stream != asked.Stream {
		t.Errorf("answer to %d, want %d", got.Stream, asked.Stream)
	}
}

// In whatever order a plugin's requests are judged, the runtime sees numbers that go
// up, and each answer finds its request.
func TestRequestsAreNumberedAnew(t *testing.T) {
	r, p, _ := newRawRig(t, nil, func(c *proxy.Config) {
		c.Lookup = func(id string) (*api.PodSandbox, *api.Container) { return testPod(id), testContainer(id) }
	})
	asked := map[string]uint32{}
	for i := range 8 {
		id := fmt.Sprint("c", i)
		m := p.request("UpdateContainers", &api.UpdateContainersRequest{Update: []*api.ContainerUpdate{shares(id, 1)}})
		asked[id] = m.Stream
		p.send(m)
	}
	last := uint32(0)
	for range asked {
		came := r.receive()
		if came.Stream <= last {
			t.Errorf("request %d comes after %d", came.Stream, last)
		}
		last = came.Stream
		req := &api.UpdateContainersRequest{}
		decode(t, came, req)
		r.send(answer(t, came, &api.UpdateContainersResponse{}))
		id := req.GetUpdate()[0].GetContainerId()
		if got := p.receive(); got.Stream != asked[id] {
			t.Errorf("answer to %d, want %d for %s", got.Stream, asked[id], id)
		}
	}
}

// A runtime that breaks the protocol loses this plugin, and the proxy goes on.
func TestBreachesOfTheRuntime(t *testing.T) {
	for name, commit := range map[string]func(*rawRuntime){
		"a connection that does not exist": func(r *rawRuntime) { bytesOf(0, 0, 0, 9, 0, 0, 0, 1, 7)(&r.rawPlugin) },
		"an answer to what was not asked":  func(r *rawRuntime) { r.send(wire.Message{Conn: onRuntime, Stream: 77, Type: wire.Response}) },
		"a stream":                         func(r *rawRuntime) { r.send(wire.Message{Conn: onPlugin, Stream: 1, Type: wire.Data}) },
		"an even number": func(r *rawRuntime) {
			r.send(wire.Message{Conn: onPlugin, Stream: 2, Type: wire.Request, Payload: shutdown(r.t)})
		},
		"a request that cannot be read": func(r *rawRuntime) {
			r.send(wire.Message{Conn: onPlugin, Stream: 1, Type: wire.Request, Payload: []byte{0xff}})
		},
		"the end":               func(r *rawRuntime) { _ = r.conn.Close() },
		"the end in the middle": func(r *rawRuntime) { bytesOf(0, 0, 0, 1, 0)(&r.rawPlugin); _ = r.conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			r, p, g := newRawRig(t, nil)
			commit(r)
			p.closed()
			eventually(t, "nobody is connected", func() bool { return len(g.proxy.Status().Plugins) == 0 })
		})
	}
}

func shutdown(t testing.TB) []byte {
	return encode(t, &ttrpc.Request{Service: pluginService, Method: "Shutdown"})
}

// Answers that come later than the runtime waits are dropped, and those that are
// waited for are found however many were never given.
func TestLateAnswers(t *testing.T) {
	r, p, _ := newRawRig(t, nil)
	var calls []wire.Message
	for range 100 {
		r.send(r.call("Shutdown", &api.Empty{}))
		calls = append(calls, p.called("Shutdown"))
	}
	p.send(answer(t, calls[0], &api.Empty{}))
	p.send(answer(t, calls[99], &api.Empty{}))
	p.send(answer(t, calls[99], &api.Empty{}))
	p.send(answer(t, calls[98], &api.Empty{}))
	for _, want := range []int{99, 98} {
		if got := r.receive(); got.Stream != calls[want].Stream {
			t.Errorf("answer to %d, want %d", got.Stream, calls[want].Stream)
		}
	}
}

// A reply that the plugin gave before it ended is judged and relayed all the same.
func TestLastWords(t *testing.T) {
	slow := make(chan struct{})
	r, p, _ := newRawRig(t, func(r *engine.Review) []engine.Violation {
		if r.Operation == engine.CreateContainer {
			<-slow
		}
		return nil
	})
	r.send(r.call("CreateContainer", &api.CreateContainerRequest{Pod: testPod("c"), Container: testContainer("c")}))
	p.send(answer(t, p.called("CreateContainer"), &api.CreateContainerResponse{Adjust: annotation("last", "words")}))
	_ = p.conn.Close()
	time.AfterFunc(50*time.Millisecond, func() { close(slow) })
	rpl := &api.CreateContainerResponse{}
	decode(t, r.receive(), rpl)
	if rpl.GetAdjust().GetAnnotations()["last"] != "words" {
		t.Errorf("reply %v", rpl)
	}
	r.closed()
}

// The reasons of a denial can be longer than any message: names are part of them.
func TestLongReasons(t *testing.T) {
	r, p, _ := newRawRig(t, objectTo(engine.Annotation, engine.Deny))
	exchange(r, p, "Configure", &api.ConfigureRequest{RuntimeName: "testd", RequestTimeout: 60_000}, &api.ConfigureResponse{})
	adjust := &api.ContainerAdjustment{}
	for i := range 3 {
		adjust.AddAnnotation(fmt.Sprint(i, strings.Repeat("ü", 500_000)), "x")
	}
	_, came := exchange(r, p, "CreateContainer", &api.CreateContainerRequest{Pod: testPod("c"), Container: testContainer("c")}, &api.CreateContainerResponse{Adjust: adjust})
	if got := errorOf(t, came); len(got) > 40_000 || !strings.HasPrefix(got, "nri-guard denied CreateContainer: no_annotation") {
		t.Errorf("%d bytes: %.100s", len(got), got)
	}
}

// What is chosen by plugins and pods cannot move cursors where reasons are shown, and is
// recorded as it is.
func TestRefusalsArePrintable(t *testing.T) {
	const key = "k\x1b[2J\nlevel=info\u202e"
	r, p, g := newRawRig(t, objectTo(engine.Annotation, engine.Deny))
	_, came := exchange(r, p, "CreateContainer", &api.CreateContainerRequest{Pod: testPod("c"), Container: testContainer("c")},
		&api.CreateContainerResponse{Adjust: annotation(key, "x")})
	if got, want := errorOf(t, came), `annotation k\x1b[2J\nlevel=info\u202e)`; !strings.Contains(got, want) {
		t.Errorf("the runtime is told %q, want %q", got, want)
	}
	made := g.decisions.of(engine.CreateContainer)
	if got := made[0].decision.Violations[0].Key; got != key {
		t.Errorf("recorded is %q", got)
	}
	if got, want := p.ask("Con\x1b[2Jquer", &api.Empty{}), `Runtime/Con\x1b[2Jquer`; !strings.HasSuffix(got, want) {
		t.Errorf("the plugin is told %q, want %q", got, want)
	}
}

// A runtime that does not read does not keep the proxy from stopping.
func TestRuntimeThatDoesNotRead(t *testing.T) {
	_, p, g := newRawRig(t, nil, func(c *proxy.Config) {
		c.Lookup = func(id string) (*api.PodSandbox, *api.Container) { return testPod(id), testContainer(id) }
		c.Limits.Drain = 1
	})
	u := shares("a", 1)
	u.Linux.Resources.Unified = map[string]string{"memory.high": strings.Repeat("1", 1<<20)}
	for range 6 {
		p.send(p.request("UpdateContainers", &api.UpdateContainersRequest{Update: []*api.ContainerUpdate{u}}))
	}
	eventually(t, "they are judged", func() bool { return len(g.decisions.of(engine.UpdateContainers)) == 6 })
	g.stop()
	p.closed()
}
