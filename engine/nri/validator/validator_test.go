package validator_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/internal/nritest"
	"github.com/nri-guard/nri-guard/engine/nri/validator"
)

// explainer says the same of every review.
type explainer []string

func (e explainer) Explain(*engine.Review) []string { return e }

// broken is one that does not.
type broken struct{}

func (broken) Explain(*engine.Review) []string { panic("boom") }

// TestValidator has a plugin ask for a variable, or more.
func TestValidator(t *testing.T) {
	lookup := func(id string) (*api.PodSandbox, *api.Container) {
		if id != "other" {
			return nil, nil
		}
		return nritest.Pod(id), nritest.Container(id)
	}
	update := func(id string) asker {
		u := &api.ContainerUpdate{}
		u.SetContainerId(id)
		u.SetLinuxCPUShares(5)
		return asker{update: []*api.ContainerUpdate{u}}
	}
	odd := asker{adjust: &api.ContainerAdjustment{Env: []*api.KeyValue{{Key: "A=B"}}}}
	for name, c := range map[string]struct {
		rules  engine.Rules
		asker  asker
		config validator.Config
		deny   []string
	}{
		"accepted": {rules: rules(nil), asker: env("X")},
		"rejected": {rules: rules(object(engine.Env, engine.Deny)), asker: env("X"),
			deny: []string{"nri-guard denied CreateContainer: no_env: may not add env X (plugin 10-asker, env X)"}},
		"strip means deny":            {rules: rules(object(engine.Env, engine.Strip)), asker: env("X"), deny: []string{"plugin 10-asker, env X"}},
		"recorded":                    {rules: rules(object(engine.Env, engine.Audit)), asker: env("X")},
		"no policies":                 {asker: env("X"), deny: []string{"no policies are loaded"}},
		"malformed":                   {rules: rules(nil), asker: odd, deny: []string{"malformed request", "holds an equals sign"}},
		"update of one that is seen":  {rules: rules(nil), asker: update("other"), config: validator.Config{Lookup: lookup}},
		"update of one that is not":   {rules: rules(nil), asker: update("nobody"), config: validator.Config{Lookup: lookup}, deny: []string{`container "nobody", which has not been seen`}},
		"update, and nothing is seen": {rules: rules(nil), asker: update("other"), deny: []string{`container "other", which has not been seen`}},
		"lookup that panics": {rules: rules(nil), asker: update("other"), deny: []string{"could not be handled: boom"},
			config: validator.Config{Lookup: func(string) (*api.PodSandbox, *api.Container) { panic("boom") }}},
		"policy that panics": {rules: rules(func(context.Context, *engine.Review) engine.Verdict { panic("boom") }), asker: env("X"),
			deny: []string{"nri-guard denied CreateContainer", "boom"}},
		"explained": {rules: rules(nil), asker: env("X"), config: validator.Config{Ledger: explainer{}}},
		"unexplained": {rules: rules(nil), asker: env("X"), config: validator.Config{Ledger: explainer{"env X: nobody was allowed", "plugin 10-asker: it is a stranger"}},
			deny: []string{"malformed request: env X: nobody was allowed", "malformed request: plugin 10-asker: it is a stranger"}},
		"unexplained, in audit": {rules: rules(object(engine.Env, engine.Audit)), asker: env("X"), config: validator.Config{Ledger: explainer{"a"}},
			deny: []string{"malformed request: a"}},
		"explainer that panics": {rules: rules(nil), asker: env("X"), config: validator.Config{Ledger: broken{}}, deny: []string{"could not be handled: boom"}},
		"recorder that panics": {rules: engine.Rules{Policies: policies(nil), Timeout: nritest.Patience, Recorder: recorder(func() error { panic("boom") })},
			asker: env("X"), deny: []string{"the decision could not be recorded: panic: boom"}},
		"recorder that fails": {rules: engine.Rules{Policies: policies(nil), Timeout: nritest.Patience, Recorder: recorder(func() error { return errors.New("disk full") })},
			asker: env("X"), deny: []string{"the decision could not be recorded: disk full"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.config.Engine = engine.New(c.rules)
			created := make(chan string, 2)
			c.config.Created = func(pod *api.PodSandbox, container *api.Container) { created <- pod.GetId() + " " + container.GetId() }
			runtime, _ := guarded(t, c.config)
			connect(t, runtime, 2, "10", "asker", c.asker)
			_, err := runtime.Create(t, "c")
			close(created)
			told := ""
			if c.deny == nil {
				told = "pod-c c"
			}
			if got := <-created; got != told || len(created) > 0 {
				t.Errorf("told of %q, want %q", got, told)
			}
			if c.deny == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			nritest.MustSay(t, err, append(c.deny, `validator "99-nri-guard" rejected container adjustment`)...)
		})
	}
}

// recorder records by a function.
type recorder func() error

func (r recorder) Record(context.Context, *engine.Review, *engine.Decision) error { return r() }

// A name that is as long as a message can be makes no answer that is too long to be
// sent: NRI would drop the validator, and ask it no more.
func TestLongNames(t *testing.T) {
	adaptation.SetPluginRequestTimeout(10 * time.Second)
	defer adaptation.SetPluginRequestTimeout(nritest.Patience)
	runtime, v := guarded(t, validator.Config{Engine: engine.New(rules(object(engine.MountPoint, engine.Deny)))})
	name := "/"
	connect(t, runtime, 2, "10", "asker", mounter{&name})
	for _, name = range []string{"/" + strings.Repeat("\x7f", 250<<10), "/" + strings.Repeat("\x01", 1500<<10), "/etc"} {
		_, err := runtime.Create(t, "c")
		nritest.MustSay(t, err, `validator "99-nri-guard" rejected container adjustment`, "no_mount: may not add mount /")
		if n := len(err.Error()); n > 64<<10 || !v.Status().Connected {
			t.Errorf("%d bytes, %+v", n, v.Status())
		}
	}
}

// mounter asks for a mount at the place that it is told.
type mounter struct{ destination *string }

func (m mounter) CreateContainer(context.Context, *api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	return &api.ContainerAdjustment{Mounts: []*api.Mount{{Destination: *m.destination, Type: "bind", Source: "/etc", Options: []string{"rw"}}}}, nil, nil
}

// TestLate: policies and recorders that do not come back in time. NRI gets its
// answer before it loses patience, and goes on to ask.
func TestLate(t *testing.T) {
	const patience = 4 * time.Second
	adaptation.SetPluginRequestTimeout(patience)
	defer adaptation.SetPluginRequestTimeout(nritest.Patience)
	for name, c := range map[string]struct {
		hang func(hung <-chan struct{}) engine.Rules
		want string
	}{
		"policy that keeps its deadline": {func(<-chan struct{}) engine.Rules {
			return rules(func(ctx context.Context, _ *engine.Review) engine.Verdict { <-ctx.Done(); return engine.Verdict{} })
		}, "the decision was not made in time: context deadline exceeded"},
		"policy that does not": {func(hung <-chan struct{}) engine.Rules {
			return rules(func(context.Context, *engine.Review) engine.Verdict { <-hung; return engine.Verdict{} })
		}, "the decision was not made in time: the runtime waits no longer than 4s"},
		"recorder": {func(hung <-chan struct{}) engine.Rules {
			r := rules(nil)
			r.Recorder = recorder(func() error { <-hung; return nil })
			return r
		}, "the decision was not made in time: the runtime waits no longer than 4s"},
	} {
		t.Run(name, func(t *testing.T) {
			hung := make(chan struct{})
			e := engine.New(c.hang(hung))
			runtime, v := guarded(t, validator.Config{Engine: e})
			t.Cleanup(func() { close(hung) })
			start := time.Now()
			_, err := runtime.Create(t, "c")
			nritest.MustSay(t, err, "rejected container adjustment", c.want)
			if took := time.Since(start); took > patience {
				t.Errorf("the answer took %s", took)
			}
			e.Swap(rules(object(engine.Env, engine.Deny)))
			connect(t, runtime, 2, "10", "asker", env("X"))
			_, err = runtime.Create(t, "d")
			nritest.MustSay(t, err, "rejected container adjustment", "no_env")
			if !v.Status().Connected {
				t.Error("it is not connected any more")
			}
		})
	}
}

// TestSubscription: to validation and nothing else, and NRI is asked not to go on
// without an answer.
func TestSubscription(t *testing.T) {
	nritest.NoLeaks(t)
	socket := nritest.Socket(t)
	replies := make(chan *api.ConfigureResponse, 1)
	nritest.Listen(t, socket, func(c net.Conn) {
		nritest.Answer(c, nil, func(f *nritest.Fake) {
			<-f.Registered
			rpl, err := f.Plugin.Configure(context.Background(), &api.ConfigureRequest{})
			if err != nil {
				t.Error(err)
			}
			select {
			case replies <- rpl:
			default:
			}
		})
	})
	guard(t, validator.Config{Engine: engine.New(rules(nil)), Socket: socket})
	rpl := <-replies
	var want api.EventMask
	want.Set(api.Event_VALIDATE_CONTAINER_ADJUSTMENT)
	if got := api.EventMask(rpl.GetEvents()); got != want {
		t.Errorf("subscribed to %s", got.PrettyString())
	}
	if p := rpl.GetFailurePolicy(); !p.GetFailRequest() || !p.GetKeepConnected() {
		t.Errorf("the failure policy is %v", p)
	}
}

// TestRestart: a runtime that begins anew is guarded anew, without a word from
// anybody.
func TestRestart(t *testing.T) {
	nritest.NoLeaks(t)
	socket := nritest.Socket(t)
	runtime := nritest.Start(t, socket)
	guard(t, validator.Config{Engine: engine.New(rules(object(engine.Env, engine.Deny))), Socket: socket})
	for range 3 {
		runtime.Plugins(t, 1)
		connect(t, runtime, 2, "10", "asker", env("X"))
		_, err := runtime.Create(t, "c")
		nritest.MustSay(t, err, "no_env")
		runtime.Kill()
		runtime = nritest.Start(t, socket)
	}
}

// TestDropped: the connection is lost while a container is judged. What becomes of
// it is up to NRI; the next is judged again.
func TestDropped(t *testing.T) {
	asked, answer := make(chan struct{}, 1), make(chan struct{})
	e := engine.New(rules(func(context.Context, *engine.Review) engine.Verdict {
		asked <- struct{}{}
		<-answer
		return engine.Verdict{}
	}))
	runtime, v := guarded(t, validator.Config{Engine: e})
	created := make(chan struct{})
	go func() { _, _ = runtime.Create(t, "c"); close(created) }()
	<-asked
	since := v.Status().Since
	runtime.Drop()
	<-created
	close(answer)
	nritest.Eventually(t, "it is connected again", func() bool { st := v.Status(); return st.Connected && st.Since.After(since) })
	e.Swap(rules(object(engine.Env, engine.Deny)))
	connect(t, runtime, 2, "10", "asker", env("X"))
	_, err := runtime.Create(t, "d")
	nritest.MustSay(t, err, "no_env")
}

// TestMany: creations at the same time are all judged.
func TestMany(t *testing.T) {
	records := &count{}
	r := rules(object(engine.Annotation, engine.Deny))
	r.Recorder = records
	runtime, _ := guarded(t, validator.Config{Engine: engine.New(r)})
	connect(t, runtime, 2, "10", "sometimes", sometimes{})
	const n = 100
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			_, err := runtime.Create(t, fmt.Sprint(i))
			if denied := i%2 == 0; denied != (err != nil) {
				t.Errorf("container %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if a, d := records.allowed.Load(), records.denied.Load(); a != n/2 || d != n/2 {
		t.Errorf("%d were allowed and %d denied", a, d)
	}
}

// sometimes is a plugin that asks for an annotation at every second creation.
type sometimes struct{}

func (sometimes) CreateContainer(_ context.Context, _ *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	if strings.HasSuffix(c.GetId(), "0") || strings.ContainsAny(c.GetId()[len(c.GetId())-1:], "2468") {
		return &api.ContainerAdjustment{Annotations: map[string]string{"a": "b"}}, nil, nil
	}
	return nil, nil, nil
}

// consulted returns what a review names as the plugins.
func consulted(t *testing.T, self []engine.Plugin, others ...engine.Plugin) []string {
	t.Helper()
	var mu sync.Mutex
	var names []string
	r := rules(func(_ context.Context, r *engine.Review) engine.Verdict {
		mu.Lock()
		defer mu.Unlock()
		names = nil
		for _, p := range r.Plugins {
			names = append(names, p.String())
		}
		return engine.Verdict{}
	})
	runtime, _ := guarded(t, validator.Config{Engine: engine.New(r), Self: self})
	for i, p := range others {
		connect(t, runtime, i+2, p.Index, p.Name, asker{})
	}
	if _, err := runtime.Create(t, "c"); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	return names
}

// TestSelf: the guard's own plugins are left out, each of them once. Who takes
// their names is not.
func TestSelf(t *testing.T) {
	own := []engine.Plugin{{Name: "nri-guard-observer", Index: "00"}}
	guard := engine.Plugin{Name: "nri-guard", Index: "99"}
	for name, c := range map[string]struct {
		others []engine.Plugin
		want   string
	}{
		"nobody else":           {nil, ""},
		"the observer":          {own, ""},
		"a plugin":              {[]engine.Plugin{{Name: "a", Index: "10"}}, "10-a"},
		"an impostor":           {[]engine.Plugin{guard}, "99-nri-guard"},
		"two":                   {[]engine.Plugin{guard, guard}, "99-nri-guard 99-nri-guard"},
		"another index":         {[]engine.Plugin{{Name: "nri-guard", Index: "01"}}, "01-nri-guard"},
		"the observer, twice":   {append(own, own...), "00-nri-guard-observer"},
		"the observer, renamed": {[]engine.Plugin{{Name: "nri-guard-observer", Index: "98"}}, "98-nri-guard-observer"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(consulted(t, own, c.others...), " "); got != c.want {
				t.Errorf("consulted are %q, want %q", got, c.want)
			}
		})
	}
}

// TestImpostorIsHeldResponsible for a change that NRI gives no owner.
func TestImpostorIsHeldResponsible(t *testing.T) {
	runtime, _ := guarded(t, validator.Config{Engine: engine.New(rules(object(engine.DeviceCgroup, engine.Deny)))})
	adjust := &api.ContainerAdjustment{Linux: &api.LinuxContainerAdjustment{Resources: &api.LinuxResources{
		Devices: []*api.LinuxDeviceCgroup{{Allow: true, Type: "c", Access: "rwm"}},
	}}}
	connect(t, runtime, 2, "99", "nri-guard", asker{adjust: adjust})
	_, err := runtime.Create(t, "c")
	nritest.MustSay(t, err, "no_deviceRule", "plugin 99-nri-guard")
}

// TestShutdown: what has been asked is judged before the validator goes.
func TestShutdown(t *testing.T) {
	nritest.NoLeaks(t)
	runtime := nritest.Start(t, nritest.Socket(t))
	asked, answer := make(chan struct{}), make(chan struct{})
	_, stop := guard(t, validator.Config{Socket: runtime.Socket, Engine: engine.New(rules(
		func(context.Context, *engine.Review) engine.Verdict {
			close(asked)
			<-answer
			return engine.Verdict{Violations: []engine.Violation{{Policy: "last", Message: "a word"}}}
		}))})
	runtime.Plugins(t, 1)
	created := make(chan error, 1)
	go func() { _, err := runtime.Create(t, "c"); created <- err }()
	<-asked
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	close(answer)
	nritest.MustSay(t, <-created, "last: a word")
	<-stopped
}

// TestConfig refuses what cannot work.
func TestConfig(t *testing.T) {
	_, err := validator.New(validator.Config{})
	nritest.MustSay(t, err, "validator: there is no engine to decide")
	_, err = validator.New(validator.Config{Engine: engine.New(rules(nil)), Index: "x"})
	nritest.MustSay(t, err, "validator: ", `invalid plugin index "x"`)
}
