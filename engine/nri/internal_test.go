package nri

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"

	"github.com/nri-guard/nri-guard/engine"
)

// TestUnjudgedCreationIsDenied: an adaptation that has lost its guard lets
// everything through.
func TestUnjudgedCreationIsDenied(t *testing.T) {
	none, err := adaptation.New("x", "1",
		func(context.Context, adaptation.SyncCB) error { return nil },
		func(context.Context, []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) { return nil, nil },
		adaptation.WithDisabledExternalConnections(), adaptation.WithPluginPath(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	in := &instance{nri: none, ctx: t.Context()}
	a, err := in.create(t.Context(), &api.PodSandbox{}, &api.Container{Id: "c"})
	if a != nil || !errors.Is(err, errUnjudged) {
		t.Errorf("%v, %v", a, err)
	}
}

// TestUnreadableMessagesAreDenied and the engine is told, so that it is recorded.
func TestUnreadableMessagesAreDenied(t *testing.T) {
	recorder := &lastRecord{}
	g := newGuard(engine.New(engine.Rules{Policies: agreeable{}, Recorder: recorder}), Border{})
	d := g.judge.Decide(t.Context(), engine.StopContainer, func(*Border) *engine.Review { panic("boom") })
	if d.Allowed || !strings.Contains(strings.Join(d.Reasons(), ";"), "malformed request: the request could not be handled: boom") {
		t.Errorf("%v", d.Reasons())
	}
	if recorder.review.Operation != engine.StopContainer {
		t.Errorf("recorded: %+v", recorder.review)
	}
}

type lastRecord struct{ review *engine.Review }

func (l *lastRecord) Record(_ context.Context, r *engine.Review, _ *engine.Decision) error {
	l.review = r
	return nil
}

// agreeable policies allow everything and keep the deadline that they were given.
type agreeable struct{ left *time.Duration }

func (a agreeable) Judge(ctx context.Context, _ *engine.Review) engine.Verdict {
	if deadline, ok := ctx.Deadline(); ok && a.left != nil {
		*a.left = time.Until(deadline)
	}
	return engine.Verdict{}
}

func (agreeable) Revision() string { return "agreeable" }

// TestDecisionsTakeHalfOfTheRequestTimeout at most.
func TestDecisionsTakeHalfOfTheRequestTimeout(t *testing.T) {
	var left time.Duration
	g := newGuard(engine.New(engine.Rules{Policies: agreeable{&left}, Timeout: time.Hour}), Border{})
	for _, c := range []struct {
		announced int64 // milliseconds
		want      time.Duration
	}{{0, time.Second}, {60_000, 30 * time.Second}, {1_000, 500 * time.Millisecond}} {
		if _, err := g.configure(t.Context(), &api.ConfigureRequest{RequestTimeout: c.announced}); err != nil {
			t.Fatal(err)
		}
		if err := g.validate(t.Context(), &api.ValidateContainerAdjustmentRequest{}); err != nil {
			t.Fatal(err)
		}
		if left > c.want || left < c.want*8/10 {
			t.Errorf("announced %d ms: the policies have %s, want %s", c.announced, left, c.want)
		}
	}
}

// TestRosterCountsPluginsWithoutConnection: those that run inside of NRI have none,
// and are consulted like the others.
func TestRosterCountsPluginsWithoutConnection(t *testing.T) {
	r := newRoster()
	for _, name := range []string{"99-nri-guard", "20-wasm", "20-wasm", "10-another-one"} {
		r.RecordPluginInvocation(name, "Synchronize", nil)
	}
	r.RecordPluginInvocation("30-failed", "Synchronize", errors.New("late"))
	r.RecordPluginInvocation("40-created", "CreateContainer", nil)
	want := []engine.Plugin{{Index: "10", Name: "another-one"}, {Index: "20", Name: "wasm"}}
	if diff := cmp.Diff(want, r.connected()); diff != "" {
		t.Error(diff)
	}
}

func TestMeantUpdates(t *testing.T) {
	resources := func(r *api.LinuxResources) *api.ContainerUpdate {
		return &api.ContainerUpdate{ContainerId: "c", Linux: &api.LinuxContainerUpdate{Resources: r}}
	}
	unknown := &api.ContainerUpdate{ContainerId: "c"}
	unknown.ProtoReflect().SetUnknown([]byte{0xfa, 0x01, 0x00})
	for name, c := range map[string]struct {
		update *api.ContainerUpdate
		want   bool
	}{
		"nil":            {nil, false},
		"empty":          {&api.ContainerUpdate{ContainerId: "c"}, false},
		"as NRI fills":   {resources(&api.LinuxResources{Memory: &api.LinuxMemory{}, Cpu: &api.LinuxCPU{}, Unified: map[string]string{}}), false},
		"explicit zero":  {resources(&api.LinuxResources{Memory: &api.LinuxMemory{Limit: &api.OptionalInt64{}}}), true},
		"empty class":    {resources(&api.LinuxResources{RdtClass: &api.OptionalString{}}), true},
		"zero processes": {resources(&api.LinuxResources{Pids: &api.LinuxPids{}}), true},
		"newer field":    {unknown, true},
	} {
		if got := len(meant([]*api.ContainerUpdate{c.update})) == 1; got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestGate(t *testing.T) {
	var g gate
	ctx := t.Context()
	short := func() context.Context {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	mustWait := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s did not wait: %v", what, err)
		}
	}
	must("first", g.enter(ctx))
	must("second", g.enter(ctx))
	mustWait("shut with two inside", g.shut(short()))
	must("third, as it is open again", g.enter(ctx))
	g.leave()
	g.leave()
	shut := make(chan error)
	go func() { shut <- g.shut(ctx) }()
	for g.enter(short()) == nil { // until it is shut
		g.leave()
	}
	g.leave()
	must("shut", <-shut)
	mustWait("enter", g.enter(short()))
	mustWait("shut twice", g.shut(short()))
	g.open()
	must("enter after all", g.enter(ctx))
	g.leave()
	must("shut while empty", g.shut(ctx))
	g.open()
}
