package proxy_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/proxy"
)

// secretive requests hold a secret wherever a request can.
func secretive() map[string]proto.Message {
	pod := testPod("c")
	c := testContainer("c")
	c.Hooks = &api.Hooks{
		Prestart: []*api.Hook{{Path: "/h", Env: []string{"DB_PASSWORD=hunter2", "B=kept"}}},
		Poststop: []*api.Hook{{Path: "/h", Env: []string{"DB_PASSWORD=hunter2"}}},
	}
	c.Env = append(c.Env, "DB_PASSWORD=hunter2", "EMPTY_PASSWORD=", "NAKED_PASSWORD", "A=kept")
	adjust := annotation("secret.example/token", "container-token")
	adjust.AddEnv("OTHER_PASSWORD", "hunter2")
	adjust.AddEnv("C", "kept")
	adjust.RemoveEnv("OLD_PASSWORD")
	adjust.AddHooks(&api.Hooks{CreateRuntime: []*api.Hook{{Path: "/h", Env: []string{"DB_PASSWORD=hunter2"}}}})
	return map[string]proto.Message{
		"Synchronize":                 &api.SynchronizeRequest{Pods: []*api.PodSandbox{pod, pod}, Containers: []*api.Container{c, c}, More: true},
		"RunPodSandbox":               &api.RunPodSandboxRequest{Pod: pod},
		"UpdatePodSandbox":            &api.UpdatePodSandboxRequest{Pod: pod, LinuxResources: &api.LinuxResources{}},
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
		"StateChange":                 &api.StateChangeEvent{Event: api.Event_START_CONTAINER, Pod: pod, Container: c},
		"ValidateContainerAdjustment": &api.ValidateContainerAdjustmentRequest{Pod: pod, Container: c, Adjust: adjust},
	}
}

func TestRedact(t *testing.T) {
	r, p, _ := newRawRig(t, nil, func(c *proxy.Config) {
		c.Plugins = []proxy.Plugin{{Name: "plugin", Redact: proxy.Redact{Env: []string{"*_PASSWORD"}, Annotations: []string{"secret.example/*"}}}}
	})
	for method, req := range secretive() {
		// Fields of a newer NRI go through.
		req.ProtoReflect().SetUnknown([]byte{0xa2, 0x06, 0x01, 'x'})
		m := r.call(method, req)
		r.send(m)
		seen := p.called(method)
		text := string(seen.Payload)
		for _, secret := range []string{"hunter2", "token\x12\x0fcontainer-token", "pod-token"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %q", method, secret)
			}
		}
		if strings.Contains(string(m.Payload), "hunter2") && (!strings.Contains(text, "DB_PASSWORD=*") || !strings.Contains(text, "A=kept") ||
			!strings.Contains(text, "EMPTY_PASSWORD=") || !strings.Contains(text, "NAKED_PASSWORD")) {
			t.Errorf("%s: names or other values are lost: %q", method, text)
		}
		if !strings.Contains(text, "secret.example/token") || !strings.Contains(text, "of pod c") || len(seen.Payload) > len(m.Payload) {
			t.Errorf("%s: %q", method, text)
		}
		got := req.ProtoReflect().New().Interface()
		decode(t, seen, got)
		if string(got.ProtoReflect().GetUnknown()) != string(req.ProtoReflect().GetUnknown()) {
			t.Errorf("%s: fields of a newer NRI are lost", method)
		}
	}
}

// NRI cuts the synchronisation of a node into messages of 4 MiB, which have far more
// fields than a plugin may send.
func TestRedactedSynchronisationOfThousands(t *testing.T) {
	const count = 2000
	seccomp := &api.LinuxSeccomp{Syscalls: []*api.LinuxSyscall{{Action: "SCMP_ACT_ALLOW", Names: make([]string, 380)}}}
	for i := range seccomp.Syscalls[0].Names {
		seccomp.Syscalls[0].Names[i] = "call" + strconv.Itoa(i)
	}
	r := newRig(t, nil, func(c *proxy.Config) {
		c.Plugins = []proxy.Plugin{{Name: "plugin", Redact: proxy.Redact{Env: []string{"*_PASSWORD"}}}}
	})
	for i := range count {
		c := testContainer("c" + strconv.Itoa(i))
		c.Linux = &api.LinuxContainer{SeccompPolicy: seccomp}
		r.runtime.pods, r.runtime.containers = append(r.runtime.pods, testPod(c.GetId())), append(r.runtime.containers, c)
	}
	shown, open := 0, 0
	connect(t, r.socket, "10", "plugin", &testPlugin{synchronize: func(_ []*api.PodSandbox, containers []*api.Container) ([]*api.ContainerUpdate, error) {
		for _, c := range containers {
			shown++
			if strings.Contains(strings.Join(c.GetEnv(), " "), "hunter2") {
				open++
			}
		}
		return nil, nil
	}})
	if shown != count || open != 0 {
		t.Errorf("the plugin is shown %d containers of %d, %d with a secret", shown, count, open)
	}
}

// Calling itself something else gets a plugin nothing.
func TestRulesForEverybody(t *testing.T) {
	uid, nobody := int64(os.Getuid()), int64(65534)
	r := newRig(t, nil, func(c *proxy.Config) {
		c.Plugins = []proxy.Plugin{
			{Name: "trusted"},
			{Name: proxy.Everybody, Identity: &engine.IdentityMatch{UID: &uid}, Events: []string{"CreateContainer"}, Redact: proxy.Redact{Env: []string{"*"}, Annotations: []string{"*"}}},
		}
	})
	for name, want := range map[string]string{"trusted": "hunter2", "other": "*"} {
		var password, note string
		stopped := false
		connect(t, r.socket, "10", name, &testPlugin{
			create: func(_ *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
				password, note = strings.TrimPrefix(c.GetEnv()[1], "DB_PASSWORD="), c.GetAnnotations()["secret.example/token"]
				return nil, nil, nil
			},
			stop: func(*api.PodSandbox, *api.Container) ([]*api.ContainerUpdate, error) { stopped = true; return nil, nil },
		})
		if _, err := r.runtime.create("c"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.runtime.stopContainer("c"); err != nil {
			t.Fatal(err)
		}
		if password != want || (note == "*") != (want == "*") || stopped != (name == "trusted") {
			t.Errorf("%s sees the password %q and the annotation %q, and hears of the stop: %v", name, password, note, stopped)
		}
	}
	if err := r.proxy.SetPlugins([]proxy.Plugin{{Name: proxy.Everybody, Identity: &engine.IdentityMatch{UID: &nobody}}}); err != nil {
		t.Fatal(err)
	}
	_, err := tryConnect(t, r.socket, "10", "third", setting("A", "1"))
	if want := `may not register as "third": its user is not 65534 (plugins[].identity.uid)`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v does not say %q", err, want)
	}
}

// What is hidden from the plugin is not hidden from the policies, and what a
// reload hides is hidden at once.
func TestRedactedRequestsAreJudgedAsTheyAre(t *testing.T) {
	var shown []string
	r := newRig(t, nil)
	connect(t, r.socket, "10", "plugin", &testPlugin{create: func(_ *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
		shown = append(shown, strings.Join(c.GetEnv(), " "))
		return nil, nil, nil
	}})
	create := func() {
		t.Helper()
		if _, err := r.runtime.create("c"); err != nil {
			t.Fatal(err)
		}
	}
	create()
	if err := r.proxy.SetPlugins([]proxy.Plugin{{Name: "plugin", Redact: proxy.Redact{Env: []string{"DB_*"}}}}); err != nil {
		t.Fatal(err)
	}
	create()
	if want := []string{"PATH=/bin DB_PASSWORD=hunter2", "PATH=/bin DB_PASSWORD=*"}; strings.Join(shown, "|") != strings.Join(want, "|") {
		t.Errorf("the plugin is shown %q, want %q", shown, want)
	}
	for _, d := range r.decisions.of(engine.CreateContainer) {
		if got := d.review.Container.GetEnv()[1]; got != "DB_PASSWORD=hunter2" {
			t.Errorf("policies see %q", got)
		}
	}
}

func TestWhatRulesAreTaken(t *testing.T) {
	uid := int64(0)
	for _, tt := range []struct {
		name string
		list []proxy.Plugin
		want string
	}{
		{name: "nothing"},
		{name: "all", list: []proxy.Plugin{{Name: "a", Identity: &engine.IdentityMatch{UID: &uid}, Events: []string{"CreateContainer"}, Redact: proxy.Redact{Env: []string{"*"}}}}},
		{name: "alternatives", list: []proxy.Plugin{{Name: "a", Events: []string{"StopContainer", "CreateContainer"}}, {Name: "a", Events: []string{"CreateContainer"}}, {Name: "a"}}},
		{name: "no name", list: []proxy.Plugin{{}}, want: `plugin "": invalid plugin name`},
		{name: "an index", list: []proxy.Plugin{{Name: "10,a"}}, want: `plugin "10,a": invalid plugin name`},
		{name: "an identity that demands nothing", list: []proxy.Plugin{{Name: "a", Identity: &engine.IdentityMatch{}}}, want: `plugin "a": the identity demands nothing`},
		{name: "an event that there is not", list: []proxy.Plugin{{Name: "a", Events: []string{"createcontainer"}}}, want: `there is no event "createcontainer"`},
		{name: "no event in common", list: []proxy.Plugin{{Name: "a", Events: []string{"StopContainer"}}, {Name: "a", Events: []string{"CreateContainer"}}}, want: "no event in common"},
		{name: "a pattern of variables", list: []proxy.Plugin{{Name: "a", Redact: proxy.Redact{Env: []string{"["}}}}, want: `the pattern "[" cannot be read`},
		{name: "a pattern of annotations", list: []proxy.Plugin{{Name: "a", Redact: proxy.Redact{Annotations: []string{`\`}}}}, want: `the pattern "\\" cannot be read`},
	} {
		_, err := proxy.New(proxy.Config{Engine: engine.New(engine.Rules{}), Socket: proxy.Socket{Path: "/a"}, Runtime: "/b", Plugins: tt.list})
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v does not say %q", tt.name, err, tt.want)
		}
	}
}
