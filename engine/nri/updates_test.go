package nri_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
)

// TestUpdatesOfOthers has a plugin ask for an update of container "other" in
// every place where it may, with and without a policy against it and a daemon
// that can carry it out.
func TestUpdatesOfOthers(t *testing.T) {
	want := []*api.ContainerUpdate{shares("other", 7)}
	for _, place := range []struct {
		name string
		op   engine.Operation
		// refused says whether the place has an error for what is not carried out;
		// elsewhere the log has it.
		refused bool
		run     func(t *testing.T, d *testDaemon, socket string) error
	}{
		{"create", engine.CreateContainer, true, func(t *testing.T, d *testDaemon, socket string) error {
			connect(t, socket, "10", "asker", asks(nil, want...))
			d.waitFor(t, 1)
			_, err := d.create("c")
			return err
		}},
		{"update", engine.UpdateContainer, true, func(t *testing.T, d *testDaemon, socket string) error {
			connect(t, socket, "10", "asker", &testPlugin{update: func(*api.PodSandbox, *api.Container, *api.LinuxResources) ([]*api.ContainerUpdate, error) {
				return want, nil
			}})
			d.waitFor(t, 1)
			requested := &api.LinuxResources{Cpu: &api.LinuxCPU{Cpus: "3"}}
			got, err := d.nri.UpdateContainer(d.ctx, testPod("c"), testContainer("c"), requested)
			if err == nil && !cmp.Equal(got, requested, protocmp.Transform()) {
				t.Errorf("the container's own resources became %v", got)
			}
			return err
		}},
		{"stop", engine.StopContainer, false, func(t *testing.T, d *testDaemon, socket string) error {
			connect(t, socket, "10", "asker", &testPlugin{stop: func(*api.PodSandbox, *api.Container) ([]*api.ContainerUpdate, error) {
				return want, nil
			}})
			d.waitFor(t, 1)
			return d.nri.StopContainer(d.ctx, testPod("c"), testContainer("c"))
		}},
		{"synchronize", engine.Synchronize, false, func(t *testing.T, d *testDaemon, socket string) error {
			connect(t, socket, "10", "asker", &testPlugin{synchronize: func([]*api.PodSandbox, []*api.Container) ([]*api.ContainerUpdate, error) {
				return want, nil
			}})
			d.waitFor(t, 1) // it stays, whatever becomes of its updates
			return nil
		}},
		{"unsolicited", engine.UpdateContainers, true, func(t *testing.T, d *testDaemon, socket string) error {
			p := connect(t, socket, "10", "asker", &testPlugin{})
			d.waitFor(t, 1)
			_, err := p.UpdateContainers(want)
			return err
		}},
	} {
		for _, deny := range []bool{false, true} {
			for _, able := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/deny=%t/able=%t", place.name, deny, able), func(t *testing.T) {
					t.Parallel()
					var judge func(*engine.Review) []engine.Violation
					if deny {
						judge = objectTo(engine.Resource, engine.Deny)
					}
					d, cfg := newTestDaemon(t, rules(judge))
					if !able {
						cfg.Update = nil
					}
					d.add("other")
					d.start(t, cfg)
					err := place.run(t, d, cfg.SocketPath)

					var carriedOut, words []string
					switch {
					case deny:
						words = []string{"nri-guard denied " + string(place.op), "no_resource: may not add resource cpu.shares", "plugin 10-asker, resource cpu.shares"}
					case !able:
						words = []string{"this runtime cannot update containers for NRI plugins: other"}
					default:
						carriedOut = []string{"other shares=7"}
					}
					if got := d.carriedOut(); !slices.Equal(got, carriedOut) {
						t.Errorf("carried out %q, want %q", got, carriedOut)
					}
					switch {
					case words == nil || !place.refused:
						if err != nil {
							t.Error(err)
						}
					default:
						mustSay(t, err, words...)
					}
					left := strings.Join(d.log.warnings(), "")
					if words != nil && !place.refused {
						for _, w := range append(words, "are left out", "containers=other") {
							if !strings.Contains(left, w) {
								t.Errorf("the log %q does not say %q", left, w)
							}
						}
					} else if left != "" {
						t.Errorf("the log says %q", left)
					}
				})
			}
		}
	}
}

// TestUpdateOfTheContainerItself is answered with the resources to set.
func TestUpdateOfTheContainerItself(t *testing.T) {
	memory := func(n int64) *api.LinuxResources {
		return &api.LinuxResources{Memory: &api.LinuxMemory{Limit: api.Int64(n)}}
	}
	both := func(n int64, shares uint64) *api.LinuxResources {
		r := memory(n)
		r.Cpu = &api.LinuxCPU{Shares: api.UInt64(shares)}
		return r
	}
	limit := func(id string, n int64) *api.ContainerUpdate {
		u := &api.ContainerUpdate{}
		u.SetContainerId(id)
		u.SetLinuxMemoryLimit(n)
		return u
	}
	empty := &api.ContainerUpdate{ContainerId: "c"}
	for _, c := range []struct {
		name      string
		requested *api.LinuxResources
		updates   []*api.ContainerUpdate
		judge     func(*engine.Review) []engine.Violation
		want      *api.LinuxResources
		deny      string
	}{
		{name: "nobody wants anything else", requested: memory(5), want: memory(5)},
		{name: "nothing requested", requested: nil, want: nil},
		{name: "a plugin adds", requested: memory(5), updates: []*api.ContainerUpdate{shares("c", 7)}, want: both(5, 7)},
		{name: "a plugin adds to nothing", updates: []*api.ContainerUpdate{shares("c", 7)},
			want: &api.LinuxResources{Cpu: &api.LinuxCPU{Shares: api.UInt64(uint64(7))}}},
		{name: "a plugin replaces", requested: memory(5), updates: []*api.ContainerUpdate{limit("c", 6)}, want: memory(6)},
		{name: "what was requested is no change", requested: memory(5), updates: []*api.ContainerUpdate{limit("c", 5)},
			judge: objectTo(engine.Resource, engine.Deny), want: memory(5)},
		{name: "an update without content does not undo the request", requested: memory(5), updates: []*api.ContainerUpdate{empty}, want: memory(5)},
		{name: "denied", requested: memory(5), updates: []*api.ContainerUpdate{shares("c", 7)},
			judge: objectTo(engine.Resource, engine.Deny), deny: "plugin 10-a, resource cpu.shares"},
		{name: "stripped", requested: memory(5), updates: []*api.ContainerUpdate{shares("c", 7)},
			judge: objectTo(engine.Resource, engine.Strip), want: memory(5)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, cfg := startTestDaemon(t, rules(c.judge), func(c *nri.Config) { c.Update = nil })
			connect(t, cfg.SocketPath, "10", "a", &testPlugin{update: func(*api.PodSandbox, *api.Container, *api.LinuxResources) ([]*api.ContainerUpdate, error) {
				return c.updates, nil
			}})
			d.waitFor(t, 1)
			got, err := d.nri.UpdateContainer(d.ctx, testPod("c"), testContainer("c"), c.requested)
			if c.deny != "" {
				mustDeny(t, err, engine.UpdateContainer, c.deny)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, protocmp.Transform(), cmp.FilterPath(isPrefilled, cmp.Ignore())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// isPrefilled matches the empty messages that NRI puts into its replies.
func isPrefilled(p cmp.Path) bool {
	if len(p) == 0 {
		return false
	}
	x, y := p.Last().Values()
	for _, v := range []any{value(x), value(y)} {
		if m, ok := v.(protocmp.Message); ok && len(m) > 1 {
			return false
		}
	}
	name := p.Last().String()
	return strings.Contains(name, `"cpu"`) || strings.Contains(name, `"memory"`)
}

func value(v interface{ IsValid() bool }) any {
	if !v.IsValid() {
		return nil
	}
	return v.(interface{ Interface() any }).Interface()
}

// TestUpdateThatFails tells a failure that may be ignored from one that may not.
func TestUpdateThatFails(t *testing.T) {
	t.Parallel()
	ignorable := shares("gone", 1)
	ignorable.IgnoreFailure = true
	for _, c := range []struct {
		name   string
		update *api.ContainerUpdate
		err    error
		want   string
	}{
		{"may fail", ignorable, nil, ""},
		{"must not fail", shares("gone", 1), nil, "updates that NRI plugins asked for failed: gone"},
		{"an error", ignorable, errors.New("cgroup is frozen"), "cgroup is frozen"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, cfg := newTestDaemon(t, rules(nil))
			cfg.Update = func(_ context.Context, u []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) { return u, c.err }
			d.add("gone")
			d.start(t, cfg)
			p := connect(t, cfg.SocketPath, "10", "a", asks(nil, c.update))
			d.waitFor(t, 1)
			_, err := d.create("c")
			if c.want == "" && err != nil {
				t.Error(err)
			}
			if c.want != "" {
				mustSay(t, err, c.want)
			}
			failed, err := p.UpdateContainers([]*api.ContainerUpdate{c.update})
			if c.err != nil {
				mustSay(t, err, c.want)
			} else if err != nil || len(failed) != 1 {
				t.Errorf("the plugin is told %v, %v", failed, err)
			}
		})
	}
}

// TestUpdateFunctionThatPanics ends in an error for the plugin.
func TestUpdateFunctionThatPanics(t *testing.T) {
	t.Parallel()
	d, cfg := newTestDaemon(t, rules(nil))
	cfg.Update = func(context.Context, []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) { panic("boom") }
	d.add("c")
	d.start(t, cfg)
	p := connect(t, cfg.SocketPath, "10", "a", &testPlugin{})
	d.waitFor(t, 1)
	_, err := p.UpdateContainers([]*api.ContainerUpdate{shares("c", 1)})
	mustSay(t, err, "could not be handled: boom")
}

// TestUpdatesOfSeveralPlugins are put down to nobody in particular, but for those
// that only one of them asked for.
func TestUpdatesOfSeveralPlugins(t *testing.T) {
	t.Parallel()
	d, cfg := newTestDaemon(t, rules(objectTo(engine.Resource, engine.Deny)))
	d.add("c0")
	d.add("c1")
	d.start(t, cfg)
	asker := func(u ...*api.ContainerUpdate) *testPlugin {
		return &testPlugin{
			update: func(_ *api.PodSandbox, c *api.Container, _ *api.LinuxResources) ([]*api.ContainerUpdate, error) {
				if c.GetId() == "both" || len(u) > 0 && u[0].GetContainerId() == "c0" {
					return u, nil
				}
				return nil, nil
			},
		}
	}
	connect(t, cfg.SocketPath, "10", "one", asker(shares("c0", 1)))
	connect(t, cfg.SocketPath, "20", "two", asker(shares("c1", 1)))
	connect(t, cfg.SocketPath, "30", "idle", asker())
	d.waitFor(t, 3)
	for _, c := range []struct{ id, want string }{
		{"single", "(plugin 10-one, resource cpu.shares)"},
		{"both", "(resource cpu.shares)"},
	} {
		_, err := d.nri.UpdateContainer(d.ctx, testPod(c.id), testContainer(c.id), nil)
		mustDeny(t, err, engine.UpdateContainer, c.want)
	}
}

// TestGrantedUpdate is matched by the name that NRI has for the plugin.
func TestGrantedUpdate(t *testing.T) {
	t.Parallel()
	d, cfg := newTestDaemon(t, engine.Rules{
		Grants: []engine.Grant{{Plugin: "trusted", Field: engine.Resource, Keys: []string{"cpu.shares"}}},
		Policies: testPolicies{judge: func(r *engine.Review) []engine.Violation {
			for _, c := range r.Changes {
				if !c.Granted {
					return []engine.Violation{{Policy: "granted", Change: c.ID}}
				}
			}
			return nil
		}},
	})
	d.add("c")
	d.start(t, cfg)
	trusted := connect(t, cfg.SocketPath, "10", "trusted", &testPlugin{})
	other := connect(t, cfg.SocketPath, "20", "other", &testPlugin{})
	d.waitFor(t, 2)
	if _, err := trusted.UpdateContainers([]*api.ContainerUpdate{shares("c", 1)}); err != nil {
		t.Error(err)
	}
	_, err := other.UpdateContainers([]*api.ContainerUpdate{shares("c", 1)})
	mustSay(t, err, "plugin 20-other")
}

// TestUpdateOfStrangers is denied, wherever it is asked for.
func TestUpdateOfStrangers(t *testing.T) {
	t.Parallel()
	d, cfg := startTestDaemon(t, rules(nil))
	p := connect(t, cfg.SocketPath, "10", "a", asks(nil, shares("stranger", 1)))
	d.waitFor(t, 1)
	_, err := d.create("c")
	mustDeny(t, err, engine.CreateContainer, `container "stranger", which has not been seen`)
	_, err = p.UpdateContainers([]*api.ContainerUpdate{shares("stranger", 1)})
	mustSay(t, err, `container "stranger", which has not been seen`)
	_, err = p.UpdateContainers([]*api.ContainerUpdate{shares("c", 1)})
	mustSay(t, err, `container "c", which has not been seen`) // its creation was denied
	if got := d.carriedOut(); got != nil {
		t.Errorf("carried out %q", got)
	}
}
