package nri_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
)

// asks makes a plugin that answers each creation with the same adjustment.
func asks(adjust *api.ContainerAdjustment, updates ...*api.ContainerUpdate) *testPlugin {
	return &testPlugin{create: func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
		return proto.CloneOf(adjust), updates, nil
	}}
}

func TestCreation(t *testing.T) {
	env := func(name, value string) *api.ContainerAdjustment {
		a := &api.ContainerAdjustment{}
		a.AddEnv(name, value)
		return a
	}
	both := annotation("a", "1")
	both.AddEnv("X", "very-secret")
	both.AddEnv("Y", "y")
	for _, c := range []struct {
		name    string
		judge   func(*engine.Review) []engine.Violation
		plugins []*testPlugin
		want    *api.ContainerAdjustment
		deny    []string
	}{
		{name: "no plugins", want: &api.ContainerAdjustment{}},
		{name: "a plugin that asks for nothing", plugins: []*testPlugin{{}}, want: &api.ContainerAdjustment{}},
		{name: "allowed, merged", plugins: []*testPlugin{asks(annotation("a", "1")), asks(env("X", "1"))},
			want: &api.ContainerAdjustment{Annotations: map[string]string{"a": "1"}, Env: []*api.KeyValue{{Key: "X", Value: "1"}}}},
		{name: "stripped", judge: objectTo(engine.Env, engine.Strip), plugins: []*testPlugin{asks(both)},
			want: annotation("a", "1")},
		{name: "only recorded", judge: objectTo(engine.Annotation, engine.Audit), plugins: []*testPlugin{asks(annotation("a", "1"))},
			want: annotation("a", "1")},
		{name: "denied, with every reason and no secret", judge: objectTo(engine.Env, engine.Deny), plugins: []*testPlugin{{}, asks(both)},
			deny: []string{"no_env: may not add env X (plugin 11-p, env X)", "no_env: may not add env Y (plugin 11-p, env Y)"}},
		{name: "put down to the plugin that asked", plugins: []*testPlugin{asks(annotation("a", "1")), asks(env("X", "1"))},
			judge: objectTo(engine.Env, engine.Deny), deny: []string{"plugin 11-p, env X"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, cfg := startTestDaemon(t, rules(c.judge))
			for i, p := range c.plugins {
				connect(t, cfg.SocketPath, "1"+string(rune('0'+i)), "p", p)
			}
			d.waitFor(t, len(c.plugins))
			got, err := d.create("c")
			if c.deny != nil {
				mustDeny(t, err, engine.CreateContainer, append(c.deny, "nri-guard denied CreateContainer")...)
				if strings.Contains(err.Error(), "very-secret") {
					t.Errorf("the error tells a secret: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, protocmp.Transform(), protocmp.IgnoreFields(&api.ContainerAdjustment{}, "hooks", "linux")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// waitFor waits until that many plugins are registered with NRI.
func (d *testDaemon) waitFor(t *testing.T, plugins int) {
	t.Helper()
	eventually(t, "all plugins are registered", func() bool { return len(d.nri.Info().Plugins) == plugins })
	// NRI lists a plugin a moment after it has been synchronised; until then it
	// holds the lock that this waits for.
	release, err := d.nri.BlockSync(d.ctx)
	if err != nil {
		t.Fatal(err)
	}
	release()
}

func TestCreationWithoutPoliciesIsDenied(t *testing.T) {
	d, cfg := startTestDaemon(t, engine.Rules{})
	connect(t, cfg.SocketPath, "10", "a", asks(annotation("a", "1")))
	_, err := d.create("c")
	mustDeny(t, err, engine.CreateContainer, "no policies are loaded")
}

func TestPolicyThatPanicsDenies(t *testing.T) {
	d, cfg := startTestDaemon(t, rules(func(*engine.Review) []engine.Violation { panic("boom") }))
	connect(t, cfg.SocketPath, "10", "a", asks(annotation("a", "1")))
	_, err := d.create("c")
	mustDeny(t, err, engine.CreateContainer, "panic: boom")
}

func TestPolicyReloadWhileCreating(t *testing.T) {
	d, cfg := startTestDaemon(t, rules(nil))
	connect(t, cfg.SocketPath, "10", "a", asks(annotation("a", "1")))
	d.waitFor(t, 1)
	for i, denied := range []bool{false, true, false} {
		next := engine.Rules{Policies: testPolicies{revision: "r" + string(rune('0'+i))}}
		if denied {
			next.Policies = testPolicies{revision: "r1", judge: objectTo(engine.Annotation, engine.Deny)}
		}
		d.engine.Swap(next)
		if _, err := d.create("c"); (err != nil) != denied {
			t.Errorf("with revision %s: %v", next.Policies.Revision(), err)
		}
		if got := d.nri.Info().Revision; got != next.Policies.Revision() {
			t.Errorf("Info says revision %s, want %s", got, next.Policies.Revision())
		}
	}
}

func TestPluginErrorFailsTheCreation(t *testing.T) {
	d, cfg := startTestDaemon(t, rules(nil))
	connect(t, cfg.SocketPath, "10", "a", &testPlugin{create: func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
		return nil, nil, errors.New("out of devices")
	}})
	d.waitFor(t, 1)
	_, err := d.create("c")
	mustSay(t, err, "asking NRI plugins", "out of devices")
	var denied *engine.Denied
	if errors.As(err, &denied) {
		t.Error("a plugin's error passes for a denial")
	}
}

func TestMessagesAreLeftAlone(t *testing.T) {
	d, cfg := startTestDaemon(t, rules(nil))
	connect(t, cfg.SocketPath, "10", "a", asks(annotation("a", "1")))
	d.waitFor(t, 1)
	pod, ctr := testPod("c"), testContainer("c")
	_, release, err := d.nri.CreateContainer(d.ctx, pod, ctr)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if diff := cmp.Diff([]proto.Message{testPod("c"), testContainer("c")}, []proto.Message{pod, ctr}, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestNothingToCreate(t *testing.T) {
	d, _ := startTestDaemon(t, rules(nil))
	for _, c := range []struct {
		name string
		pod  *api.PodSandbox
		ctr  *api.Container
	}{{"no container", testPod("c"), nil}, {"no pod", nil, testContainer("c")}} {
		_, release, err := d.nri.CreateContainer(d.ctx, c.pod, c.ctr)
		mustSay(t, err, "needs a pod and a container")
		release()
		_, err = d.nri.UpdateContainer(d.ctx, c.pod, c.ctr, nil)
		mustSay(t, err, "needs a pod and a container")
	}
}

// launchPlugins makes a plugin directory in which the test binary is all of the
// plugins named.
func launchPlugins(t *testing.T, dir string, names ...string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPluginProcesses(t *testing.T) {
	d, cfg := newTestDaemon(t, rules(objectTo(engine.OCIHook, engine.Deny)))
	launchPlugins(t, cfg.PluginPath, "10-annotator", "20-configured")
	if err := os.MkdirAll(cfg.PluginConfigPath, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.PluginConfigPath, "configured.conf"), []byte("dropped in"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.start(t, cfg)
	if got, want := d.nri.Info().Plugins, []string{"10-annotator", "20-configured"}; !slices.Equal(got, want) {
		t.Errorf("plugins %q, want %q", got, want)
	}
	a, err := d.create("c1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"by": "annotator", "config": "dropped in"}, a.GetAnnotations()); diff != "" {
		t.Error(diff)
	}

	spawn(t, cfg.SocketPath, "30", "hooker")
	d.waitFor(t, 3)
	_, err = d.create("c2")
	mustDeny(t, err, engine.CreateContainer, "plugin 30-hooker, hook createRuntime")
}

func TestSlowPlugin(t *testing.T) {
	impatient(t)
	d, cfg := startTestDaemon(t, rules(nil))
	spawn(t, cfg.SocketPath, "10", "sleeper")
	connect(t, cfg.SocketPath, "20", "a", asks(annotation("a", "1")))
	d.waitFor(t, 2)
	a, err := d.create("c")
	if err != nil || a.GetAnnotations()["a"] != "1" {
		t.Errorf("the others' adjustment is lost: %v, %v", a, err)
	}
	eventually(t, "the late plugin is dropped", func() bool { return slices.Equal(d.nri.Info().Plugins, []string{"20-a"}) })
}

func TestCrashingAndReturningPlugin(t *testing.T) {
	t.Parallel()
	d, cfg := startTestDaemon(t, rules(nil))
	for range 3 {
		spawn(t, cfg.SocketPath, "10", "crasher")
		d.waitFor(t, 1)
		if _, err := d.create("c"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the crashed plugin is gone", func() bool { return len(d.nri.Info().Plugins) == 0 })
	}
	connect(t, cfg.SocketPath, "10", "crasher", asks(annotation("a", "1")))
	d.waitFor(t, 1)
	if a, err := d.create("c"); err != nil || a.GetAnnotations()["a"] != "1" {
		t.Errorf("%v, %v", a, err)
	}
}

func TestRuntimeIsNamed(t *testing.T) {
	var reviewed engine.Runtime
	d, cfg := startTestDaemon(t, rules(func(r *engine.Review) []engine.Violation { reviewed = r.Runtime; return nil }))
	told := make(chan string, 1)
	connect(t, cfg.SocketPath, "10", "a", &testPlugin{configure: func(_, runtime, version string) { told <- runtime + " " + version }})
	if got := <-told; got != "testd 1.2.3" {
		t.Errorf("the plugin was told %q", got)
	}
	if _, err := d.create("c"); err != nil {
		t.Fatal(err)
	}
	if want := (engine.Runtime{Name: "testd", Version: "1.2.3"}); reviewed != want {
		t.Errorf("the review names %v", reviewed)
	}
}

func TestInfo(t *testing.T) {
	d, cfg := startTestDaemon(t, rules(nil), func(c *nri.Config) { c.Profile = "baseline" })
	connect(t, cfg.SocketPath, "20", "b", &testPlugin{})
	connect(t, cfg.SocketPath, "10", "a", &testPlugin{})
	d.waitFor(t, 2)
	want := nri.Info{
		Enabled: true, PluginPath: cfg.PluginPath, PluginConfigPath: cfg.PluginConfigPath, SocketPath: cfg.SocketPath,
		Profile: "baseline", Revision: "first", Plugins: []string{"10-a", "20-b"},
	}
	if diff := cmp.Diff(want, d.nri.Info()); diff != "" {
		t.Error(diff)
	}
}
