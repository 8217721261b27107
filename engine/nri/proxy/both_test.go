package proxy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
	"github.com/nri-guard/nri-guard/engine/nri/proxy"
)

// comparing is a validator on the runtime's own socket that holds the merged
// adjustment against what a proxy let through.
func comparing(t testing.TB, r *rig, ledger *nri.Ledger) {
	t.Helper()
	self := engine.Plugin{Index: "99", Name: "comparing"}
	border := &nri.Border{Self: []engine.Plugin{self}, Lookup: r.runtime.lookup}
	connect(t, r.runtime.socket, self.Index, self.Name, &testPlugin{
		mask: 1 << (api.Event_VALIDATE_CONTAINER_ADJUSTMENT - 1),
		validate: func(req *api.ValidateContainerAdjustmentRequest) error {
			if reasons := ledger.Explain(border.Adjustment(req)); len(reasons) > 0 {
				return errors.New(strings.Join(reasons, "; "))
			}
			return nil
		},
	})
}

func TestMergedIsHeldAgainstWhatWasLetThrough(t *testing.T) {
	ledger := nri.NewLedger()
	r := newRig(t, objectTo(engine.Sysctl, engine.Strip), func(c *proxy.Config) { c.Ledger = ledger })
	r.runtime.add("other")
	comparing(t, r, ledger)
	var dying *connected
	for _, step := range []struct {
		name  string
		enter func()
		want  []string
	}{
		{name: "nobody", enter: func() {}},
		{name: "one", enter: func() { connect(t, r.socket, "10", "first", everything("first", 1)) }},
		{name: "one whose sysctl is taken out", enter: func() { connect(t, r.socket, "20", "second", everything("second", 2)) }},
		{name: "one that takes back what the others did", enter: func() { connect(t, r.socket, "30", "third", undoing()) }},
		{name: "one that is not subscribed to creations", enter: func() {
			connect(t, r.socket, "40", "idle", &testPlugin{stop: func(*api.PodSandbox, *api.Container) ([]*api.ContainerUpdate, error) { return nil, nil }})
		}},
		{name: "one that dies in the middle", enter: func() {
			dying = connect(t, r.socket, "50", "dying", &testPlugin{create: func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
				go dying.Stop()
				dying.gone(t)
				return nil, nil, nil
			}})
		}},
	} {
		step.enter()
		if rpl, err := r.runtime.create("c"); err != nil || rpl.GetAdjust().GetLinux().GetSysctl()["net.core.somaxconn"] != "" {
			t.Fatalf("%s: created %v, error %v", step.name, rpl, err)
		}
	}
	for _, tt := range []struct {
		name    string
		index   string
		plugin  string
		creates *testPlugin
		want    []string
	}{
		{name: "a name of its own, and nothing to do", index: "60", plugin: "past", creates: &testPlugin{create: nothing},
			want: []string{"plugin 60-past did not come through the proxy"}},
		{name: "a trusted name, and nothing to do", index: "10", plugin: "first", creates: &testPlugin{create: nothing},
			want: []string{"plugin 10-first did not come through the proxy"}},
		{name: "a trusted name, and a change that was let through", index: "20", plugin: "second",
			creates: &testPlugin{create: func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
				a := &api.ContainerAdjustment{}
				a.AddHooks(&api.Hooks{Prestart: []*api.Hook{{Path: "/bin/hook", Args: []string{"same"}}}})
				return a, nil, nil
			}},
			want: []string{"plugin 20-second did not come through the proxy", "explains: add hook prestart (/bin/hook same) (container c)"}},
		{name: "the default validator's name, and a change", index: "00", plugin: "default-validator", creates: setting("EVIL", "1"),
			want: []string{"explains: add env EVIL (container c)"}},
		{name: "an update", index: "60", plugin: "past", creates: &testPlugin{create: func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
			u := &api.ContainerUpdate{}
			u.SetContainerId("other")
			u.SetLinuxMemoryLimit(1)
			return nil, []*api.ContainerUpdate{u}, nil
		}}, want: []string{"explains: add resource memory.limit (1) (container other)"}},
	} {
		past := connect(t, r.runtime.socket, tt.index, tt.plugin, tt.creates)
		_, err := r.runtime.create("c")
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v does not say %q", tt.name, err, want)
			}
		}
		past.Stop()
		eventually(t, "it is gone", func() bool {
			_, err := r.runtime.create("c")
			return err == nil
		})
	}
	// Restarts do no harm.
	r.stop()
	r.run(t)
	again := connect(t, r.socket, "10", "first", setting("A", "1"))
	for range 3 {
		if _, err := r.runtime.create("c"); err != nil {
			t.Error(err)
		}
		again.Stop()
		again = connect(t, r.socket, "10", "first", setting("A", "1"))
	}
	if slices.ContainsFunc(r.proxy.Status().Plugins, func(p engine.Plugin) bool { return p.Name != "first" }) {
		t.Errorf("connected: %v", r.proxy.Status().Plugins)
	}
}

func nothing(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	return nil, nil, nil
}
