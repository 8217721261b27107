package proxy_test

import (
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/proxy"
	"github.com/nri-guard/nri-guard/engine/nri/proxy/internal/wire"
)

// low objects to CPU shares below a bound.
func low(bound uint64, how engine.Enforcement) func(*engine.Review) []engine.Violation {
	return func(r *engine.Review) []engine.Violation {
		var list []engine.Violation
		for _, c := range r.Changes {
			if n, ok := c.Value.(uint64); ok && c.Key == "cpu.shares" && n < bound {
				list = append(list, engine.Violation{Policy: "no_low", Message: "too low", Change: c.ID, Enforcement: how})
			}
		}
		return list
	}
}

// asking is a plugin that asks for updates in every reply that can hold them.
func asking(updates ...*api.ContainerUpdate) *testPlugin {
	list := func() []*api.ContainerUpdate {
		var c []*api.ContainerUpdate
		for _, u := range updates {
			c = append(c, proto.CloneOf(u))
		}
		return c
	}
	return &testPlugin{
		synchronize: func([]*api.PodSandbox, []*api.Container) ([]*api.ContainerUpdate, error) { return list(), nil },
		create: func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
			return nil, list(), nil
		},
		update: func(*api.PodSandbox, *api.Container, *api.LinuxResources) ([]*api.ContainerUpdate, error) {
			return list(), nil
		},
		stop: func(*api.PodSandbox, *api.Container) ([]*api.ContainerUpdate, error) { return list(), nil },
	}
}

// ask has a plugin ask for updates in every way that there is, and tells what came
// of it.
func (r *rig) ask(t testing.TB, updates ...*api.ContainerUpdate) map[engine.Operation]string {
	t.Helper()
	r.runtime.add("a", "b")
	p := connect(t, r.socket, "10", "asking", asking(updates...))
	outcome := func(updates []*api.ContainerUpdate, err error) string {
		if err != nil {
			return "error: " + err.Error()
		}
		updates = slices.DeleteFunc(updates, func(u *api.ContainerUpdate) bool { return u == nil })
		slices.SortFunc(updates, func(a, b *api.ContainerUpdate) int { return strings.Compare(a.GetContainerId(), b.GetContainerId()) })
		return strings.Join(sharesOf(updates), ", ")
	}
	got := map[engine.Operation]string{}
	created, err := r.runtime.create("new")
	got[engine.CreateContainer] = outcome(created.GetUpdate(), err)
	updated, err := r.runtime.updateContainer("c", 0)
	got[engine.UpdateContainer] = outcome(updated.GetUpdate(), err)
	stopped, err := r.runtime.stopContainer("c")
	got[engine.StopContainer] = outcome(stopped.GetUpdate(), err)
	got[engine.Synchronize] = outcome(r.runtime.synced, nil)
	_, err = p.UpdateContainers(updates)
	got[engine.UpdateContainers] = outcome(r.runtime.askedFor(), err)
	return got
}

func TestUpdatesAreJudged(t *testing.T) {
	const both = "a shares=2, b shares=500"
	allowed := map[engine.Operation]string{}
	for _, op := range engine.Operations() {
		if op != engine.RegisterPlugin {
			allowed[op] = both
		}
	}
	every := func(s string) map[engine.Operation]string {
		m := map[engine.Operation]string{}
		for op := range allowed {
			m[op] = s
		}
		return m
	}
	denied := func(reason string) map[engine.Operation]string {
		m := every("error: rpc error: code = PermissionDenied desc = nri-guard denied OP: " + reason)
		m[engine.StopContainer], m[engine.Synchronize] = "", ""
		return m
	}
	for _, tt := range []struct {
		name    string
		judge   func(*engine.Review) []engine.Violation
		updates []*api.ContainerUpdate
		want    map[engine.Operation]string
	}{
		{name: "let through", updates: []*api.ContainerUpdate{shares("a", 2), shares("b", 500)}, want: allowed},
		{name: "stripped", judge: low(100, engine.Strip), updates: []*api.ContainerUpdate{shares("a", 2), shares("b", 500)},
			want: every("b shares=500")},
		{name: "denied", judge: low(100, engine.Deny), updates: []*api.ContainerUpdate{shares("a", 2), shares("b", 500)},
			want: denied("no_low: too low (plugin 10-asking, resource cpu.shares)")},
		{name: "of a container that nobody has seen", updates: []*api.ContainerUpdate{shares("ghost", 500)},
			want: denied(`malformed request: update of container "ghost", which has not been seen`)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.judge)
			got := r.ask(t, tt.updates...)
			for op, want := range tt.want {
				want = strings.ReplaceAll(want, "OP", string(op))
				if got := strings.ReplaceAll(got[op], "a shares=0, ", ""); got != want {
					t.Errorf("%s:\n got %q\nwant %q", op, got, want)
				}
				made := r.decisions.of(op)
				if len(made) != 1 {
					t.Errorf("%s: %d decisions", op, len(made))
					continue
				}
				d := made[0]
				if d.review.Plugin.Name != "asking" || d.review.Plugin.Identity == nil || d.review.Runtime.Name != "testd" {
					t.Errorf("%s: the decision is about %+v of %+v", op, d.review.Plugin, d.review.Runtime)
				}
			}
			// Whatever was denied, the plugin is still there.
			if n := len(r.proxy.Status().Plugins); n != 1 {
				t.Errorf("%d plugins are connected", n)
			}
		})
	}
}

// Updates show what becomes of the container compared with what the runtime was
// asked for.
func TestUpdatesComparedWithTheRequest(t *testing.T) {
	r := newRig(t, nil)
	connect(t, r.socket, "10", "halving", &testPlugin{
		update: func(_ *api.PodSandbox, c *api.Container, l *api.LinuxResources) ([]*api.ContainerUpdate, error) {
			u := shares(c.GetId(), 3)
			u.SetLinuxCPUQuota(l.GetCpu().GetQuota().GetValue())
			return []*api.ContainerUpdate{u}, nil
		},
	})
	if _, err := r.runtime.updateContainer("c", 4000); err != nil {
		t.Fatal(err)
	}
	made := r.decisions.of(engine.UpdateContainer)
	if len(made) != 1 || len(made[0].review.Changes) != 1 || made[0].review.Changes[0].ID != "resource:cpu.shares" {
		t.Errorf("decisions: %+v", made[0].review.Changes)
	}
}

// Evictions can be seen nowhere but here: NRI drops them when it merges.
func TestEvictionsAreJudged(t *testing.T) {
	evict := []*api.ContainerEviction{{ContainerId: "a", Reason: "for fun"}}
	for _, tt := range []struct {
		name string
		how  engine.Enforcement
		want string
		left int
	}{
		{name: "denied", how: engine.Deny, want: "nri-guard denied %s: no_eviction: may not add eviction a (\"for fun\") (plugin 20-evicting, eviction a)"},
		{name: "stripped", how: engine.Strip},
		{name: "audited", how: engine.Audit, left: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, objectTo(engine.Eviction, tt.how))
			r.runtime.add("a")
			p := dialRaw(t, r.socket)
			p.subscribe("20", "evicting", api.Event_CREATE_CONTAINER, api.Event_UPDATE_CONTAINER)
			var wg sync.WaitGroup
			wg.Go(func() {
				p.send(answer(t, p.called("CreateContainer"), &api.CreateContainerResponse{Evict: evict}))
				p.send(answer(t, p.called("UpdateContainer"), &api.UpdateContainerResponse{Evict: evict}))
			})
			_, created := r.runtime.create("c")
			_, updated := r.runtime.updateContainer("c", 1)
			wg.Wait()
			asked := p.ask("UpdateContainers", &api.UpdateContainersRequest{Evict: evict})
			for op, err := range map[engine.Operation]error{engine.CreateContainer: created, engine.UpdateContainer: updated} {
				want := strings.ReplaceAll(tt.want, "%s", string(op))
				if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("%s: error %v does not say %q", op, err, want)
				}
				d := r.decisions.of(op)[0].decision
				if tt.want == "" && evictions(d.Approved) != tt.left {
					t.Errorf("%s: %d evictions are left", op, evictions(d.Approved))
				}
			}
			if want := strings.ReplaceAll(tt.want, "%s", "UpdateContainers"); !strings.Contains(asked, want) || want == "" && asked != "" {
				t.Errorf("answer %q does not say %q", asked, want)
			}
		})
	}
}

func evictions(r *engine.Review) int {
	n := 0
	for _, c := range r.Changes {
		if c.Field == engine.Eviction {
			n++
		}
	}
	return n
}

// A policy that panics, or a review that cannot be made, denies; the plugin stays.
func TestPanics(t *testing.T) {
	r := newRig(t, nil, func(c *proxy.Config) {
		c.Lookup = func(string) (*api.PodSandbox, *api.Container) { panic("no such table") }
	})
	r.runtime.add("a")
	p := dialRaw(t, r.socket)
	p.join("10", "asking")
	if got, want := p.ask("UpdateContainers", &api.UpdateContainersRequest{Update: []*api.ContainerUpdate{shares("a", 1)}}),
		"nri-guard denied UpdateContainers: malformed request: the request could not be handled: no such table"; got != want {
		t.Errorf("answer %q, want %q", got, want)
	}
	if len(r.log.lines("level=error", "panic while handling an NRI request: no such table", "plugin=10-asking")) != 1 {
		t.Error("it is not logged")
	}
	if got := p.ask("UpdateContainers", &api.UpdateContainersRequest{}); got != "" {
		t.Errorf("answer %q", got)
	}
}

// Metadata and the time that is left go with a request that is rewritten.
func TestMetadataStays(t *testing.T) {
	r := newRig(t, low(100, engine.Strip))
	seen := r.runtime.metadata("tenant")
	r.runtime.add("a", "b")
	p := dialRaw(t, r.socket)
	p.join("10", "asking")
	m := p.request("UpdateContainers", &api.Empty{})
	m.Payload = encode(t, &ttrpc.Request{
		Service: runtimeService, Method: "UpdateContainers", TimeoutNano: int64(patience),
		Metadata: []*ttrpc.KeyValue{{Key: "tenant", Value: "blue"}},
		Payload:  encode(t, &api.UpdateContainersRequest{Update: []*api.ContainerUpdate{shares("a", 1), shares("b", 500)}}),
	})
	p.send(m)
	if got := p.receive(); got.Type != wire.Response || errorOf(t, got) != "" {
		t.Errorf("answer %q", errorOf(t, got))
	}
	if got := seen(); got != "blue in time" {
		t.Errorf("the runtime was told %q", got)
	}
}

// A request may be waited for as long as it likes.
func TestTimeouts(t *testing.T) {
	r := newRig(t, nil)
	r.runtime.add("a")
	p := dialRaw(t, r.socket)
	p.join("10", "asking")
	for _, timeout := range []int64{int64(time.Hour), int64(43 * 365 * 24 * time.Hour), math.MaxInt64, 0, -1, math.MinInt64} {
		m := p.request("UpdateContainers", &api.Empty{})
		m.Payload = encode(t, &ttrpc.Request{
			Service: runtimeService, Method: "UpdateContainers", TimeoutNano: timeout,
			Payload: encode(t, &api.UpdateContainersRequest{Update: []*api.ContainerUpdate{shares("a", 1)}}),
		})
		p.send(m)
		if got := errorOf(t, p.answered(m)); got != "" {
			t.Errorf("a timeout of %d: answer %q", timeout, got)
		}
	}
}
