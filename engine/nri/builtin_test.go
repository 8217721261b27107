package nri_test

import (
	"context"
	"testing"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/adaptation/builtin"
	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
)

// TestBuiltin puts the guard into an adaptation of the daemon's own, beside a
// built-in plugin that asks for a variable and for an update of a container.
func TestBuiltin(t *testing.T) {
	lookup := func(id string) (*api.PodSandbox, *api.Container) {
		if id != "other" {
			return nil, nil
		}
		return testPod(id), testContainer(id)
	}
	for _, c := range []struct {
		name   string
		rules  engine.Rules
		update string
		config nri.BuiltinConfig
		deny   []string
	}{
		{name: "allowed", rules: rules(nil)},
		{name: "denied", rules: rules(objectTo(engine.Env, engine.Deny)),
			deny: []string{"nri-guard denied CreateContainer: no_env: may not add env X (plugin 10-asker, env X)"}},
		{name: "strip means deny", rules: rules(objectTo(engine.Env, engine.Strip)), deny: []string{"plugin 10-asker, env X"}},
		{name: "recorded", rules: rules(objectTo(engine.Env, engine.Audit))},
		{name: "no policies", deny: []string{"no policies are loaded"}},
		{name: "update of a container that can be found", rules: rules(nil), update: "other", config: nri.BuiltinConfig{Lookup: lookup}},
		{name: "update of a container that cannot", rules: rules(nil), update: "nobody", config: nri.BuiltinConfig{Lookup: lookup},
			deny: []string{`container "nobody", which has not been seen`}},
		{name: "update with nowhere to look", rules: rules(nil), update: "other", deny: []string{`container "other", which has not been seen`}},
		{name: "lookup that panics", rules: rules(nil), update: "other",
			config: nri.BuiltinConfig{Lookup: func(string) (*api.PodSandbox, *api.Container) { panic("boom") }},
			deny:   []string{"could not be handled: boom"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var runtime engine.Runtime
			if p, ok := c.rules.Policies.(testPolicies); ok {
				judge := p.judge
				c.rules.Policies = testPolicies{judge: func(r *engine.Review) []engine.Violation {
					runtime = r.Runtime
					if len(r.Plugins) != 1 || judge == nil {
						return nil
					}
					return judge(r)
				}}
			}
			asker := &builtin.BuiltinPlugin{Base: "asker", Index: "10", Handlers: builtin.BuiltinHandlers{
				CreateContainer: func(context.Context, *api.CreateContainerRequest) (*api.CreateContainerResponse, error) {
					a := &api.ContainerAdjustment{}
					a.AddEnv("X", "1")
					rpl := &api.CreateContainerResponse{Adjust: a}
					if c.update != "" {
						rpl.Update = []*api.ContainerUpdate{shares(c.update, 1)}
					}
					return rpl, nil
				},
			}}
			owner := ownAdaptation(t, asker, nri.Builtin(engine.New(c.rules), c.config))
			rpl, err := owner.CreateContainer(t.Context(), &api.CreateContainerRequest{Pod: testPod("c"), Container: testContainer("c")})
			if c.deny != nil {
				mustSay(t, err, append(c.deny, `validator "99-nri-guard" rejected`)...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(rpl.GetAdjust().GetEnv()) != 1 {
				t.Errorf("the adjustment is lost: %v", rpl)
			}
			if want := (engine.Runtime{Name: "owner", Version: "9"}); runtime != want {
				t.Errorf("the runtime is reviewed as %v", runtime)
			}
		})
	}
}

// ownAdaptation is an adaptation as daemons have that know nothing of the guard.
func ownAdaptation(t *testing.T, plugins ...*builtin.BuiltinPlugin) *adaptation.Adaptation {
	t.Helper()
	a, err := adaptation.New("owner", "9",
		func(ctx context.Context, tell adaptation.SyncCB) error {
			_, err := tell(ctx, nil, nil)
			return err
		},
		func(context.Context, []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) { return nil, nil },
		adaptation.WithDisabledExternalConnections(),
		adaptation.WithPluginPath(t.TempDir()),
		adaptation.WithBuiltinPlugins(plugins...))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Stop)
	return a
}

// TestBuiltinIsAskedAboutNothingElse: a late answer to any other request would
// have NRI drop the guard.
func TestBuiltinIsAskedAboutNothingElse(t *testing.T) {
	p := nri.Builtin(engine.New(rules(nil)), nri.BuiltinConfig{})
	rpl, err := p.Configure(t.Context(), &api.ConfigureRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var want api.EventMask
	want.Set(api.Event_VALIDATE_CONTAINER_ADJUSTMENT)
	if got := api.EventMask(rpl.GetEvents()); got != want {
		t.Errorf("subscribed to %s", got.PrettyString())
	}
}

// TestBuiltinWithoutEngine denies.
func TestBuiltinWithoutEngine(t *testing.T) {
	owner := ownAdaptation(t, nri.Builtin(nil, nri.BuiltinConfig{}))
	_, err := owner.CreateContainer(t.Context(), &api.CreateContainerRequest{Pod: testPod("c"), Container: testContainer("c")})
	mustSay(t, err, "rejected", "could not be handled")
}
