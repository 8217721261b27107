package validator_test

import (
	"context"
	"io"
	"os"
	"sync/atomic"
	"testing"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/internal/nritest"
	"github.com/nri-guard/nri-guard/engine/nri/validator"
)

func TestMain(m *testing.M) {
	log.L.Logger.SetOutput(io.Discard)
	adaptation.SetPluginRequestTimeout(nritest.Patience)
	os.Exit(m.Run())
}

// policies judge by a function; nil objects to nothing.
type policies func(context.Context, *engine.Review) engine.Verdict

func (p policies) Judge(ctx context.Context, r *engine.Review) engine.Verdict {
	if p == nil {
		return engine.Verdict{}
	}
	return p(ctx, r)
}

func (p policies) Revision() string { return "first" }

// rules have as much time as a busy machine takes.
func rules(p policies) engine.Rules {
	return engine.Rules{Policies: p, Timeout: nritest.Patience}
}

// object has a policy object to a field, as it is enforced.
func object(field engine.Field, how engine.Enforcement) policies {
	return func(_ context.Context, r *engine.Review) (v engine.Verdict) {
		for _, c := range r.Changes {
			if c.Field == field {
				v.Violations = append(v.Violations, engine.Violation{Policy: "no_" + string(field), Change: c.ID, Enforcement: how})
			}
		}
		return v
	}
}

// count counts the decisions that are recorded.
type count struct{ allowed, denied atomic.Int64 }

func (c *count) Record(_ context.Context, _ *engine.Review, d *engine.Decision) error {
	if d.Allowed {
		c.allowed.Add(1)
	} else {
		c.denied.Add(1)
	}
	return nil
}

// guard runs a validator until the end of the test or until it is stopped.
func guard(t *testing.T, cfg validator.Config) (v *validator.Validator, stop func()) {
	t.Helper()
	v, err := validator.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := v.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return v, stop
}

// guarded starts a runtime and a validator that is connected to it.
func guarded(t *testing.T, cfg validator.Config) (*nritest.Runtime, *validator.Validator) {
	t.Helper()
	nritest.NoLeaks(t)
	runtime := nritest.Start(t, nritest.Socket(t))
	cfg.Socket = runtime.Socket
	v, _ := guard(t, cfg)
	runtime.Plugins(t, 1)
	return runtime, v
}

// asker is a plugin that asks for the same at each creation.
type asker struct {
	adjust *api.ContainerAdjustment
	update []*api.ContainerUpdate
}

func (a asker) CreateContainer(context.Context, *api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	return a.adjust, a.update, nil
}

// env asks for a variable.
func env(name string) asker {
	a := &api.ContainerAdjustment{}
	a.AddEnv(name, "1")
	return asker{adjust: a}
}

// connect registers a plugin, which becomes the n-th.
func connect(t *testing.T, runtime *nritest.Runtime, n int, index, name string, plugin any) {
	t.Helper()
	s, err := stub.New(plugin, stub.WithPluginName(name), stub.WithPluginIdx(index), stub.WithSocketPath(runtime.Socket))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	runtime.Plugins(t, n)
}
