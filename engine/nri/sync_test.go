package nri_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"

	"github.com/nri-guard/nri-guard/engine"
)

// witness is a plugin that writes down which containers it hears of and how.
type witness struct {
	mu      sync.Mutex
	told    map[string][]string
	removed map[string]bool
}

func newWitness() *witness { return &witness{told: map[string][]string{}, removed: map[string]bool{}} }

func (w *witness) plugin() *testPlugin {
	note := func(id, how string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if how == "removed" {
			w.removed[id] = true
			return
		}
		w.told[id] = append(w.told[id], how)
	}
	return &testPlugin{
		synchronize: func(_ []*api.PodSandbox, containers []*api.Container) ([]*api.ContainerUpdate, error) {
			for _, c := range containers {
				note(c.GetId(), "synchronized")
			}
			return nil, nil
		},
		create: func(_ *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
			note(c.GetId(), "created")
			return nil, nil, nil
		},
		event: func(name, id string) error {
			if name == "RemoveContainer" {
				note(id, "removed")
			}
			return nil
		},
	}
}

// check compares with what exists, and with all that ever did.
func (w *witness) check(t *testing.T, name string, exist map[string]*api.Container, ever int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range ever {
		id := fmt.Sprint("c", i)
		told := w.told[id]
		switch {
		case len(told) > 1:
			t.Errorf("plugin %s saw container %s twice: %v", name, id, told)
		case len(told) == 0 && exist[id] != nil:
			t.Errorf("plugin %s missed container %s", name, id)
		case len(told) == 1 && exist[id] == nil && !w.removed[id]:
			t.Errorf("plugin %s was not told that container %s, of which it heard when it was %s, is gone", name, id, told[0])
		}
	}
}

// TestRegistrationWhileCreating has plugins register while hundreds of containers
// are created and removed.
func TestRegistrationWhileCreating(t *testing.T) {
	t.Parallel()
	const (
		creators, each = 8, 60
		plugins        = 12
	)
	d, cfg := startTestDaemon(t, rules(nil))
	var wg sync.WaitGroup
	for i := range creators {
		wg.Go(func() {
			for j := range each {
				id := fmt.Sprint("c", i*each+j)
				if _, err := d.create(id); err != nil {
					t.Errorf("creating %s: %v", id, err)
					return
				}
				if j%3 == 0 {
					if err := d.remove(id); err != nil {
						t.Errorf("removing %s: %v", id, err)
					}
				}
			}
		})
	}
	witnesses := make([]*witness, plugins)
	for i := range witnesses {
		witnesses[i] = newWitness()
		connect(t, cfg.SocketPath, fmt.Sprintf("%02d", i), "witness", witnesses[i].plugin())
	}
	wg.Wait()
	d.waitFor(t, plugins)
	seenAtSync := 0
	for i, w := range witnesses {
		w.check(t, fmt.Sprint(i), d.containers, creators*each)
		for _, how := range w.told {
			if how[0] == "synchronized" {
				seenAtSync++
			}
		}
	}
	t.Logf("%d sightings at synchronisation", seenAtSync)
	if seenAtSync == 0 {
		t.Error("no plugin registered while containers were being created: the test proves nothing")
	}
}

// TestReleaseByAnybody releases a creation many times from many goroutines.
func TestReleaseByAnybody(t *testing.T) {
	t.Parallel()
	d, cfg := startTestDaemon(t, rules(nil))
	_, first, err := d.nri.CreateContainer(d.ctx, testPod("c1"), testContainer("c1"))
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := d.nri.CreateContainer(d.ctx, testPod("c2"), testContainer("c2"))
	if err != nil {
		t.Fatal(err)
	}
	registered := make(chan struct{})
	go func() {
		defer close(registered)
		connect(t, cfg.SocketPath, "10", "a", &testPlugin{})
	}()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(first)
	}
	wg.Wait()
	select {
	case <-registered:
		t.Error("releasing one creation many times released another")
	case <-time.After(100 * time.Millisecond):
	}
	second()
	<-registered
	first()
	second()
}

// TestWaitingRegistration has a plugin wait for a creation's release: that stalls
// other creations, until their context ends, and not for ever.
func TestWaitingRegistration(t *testing.T) {
	t.Parallel()
	d, cfg := startTestDaemon(t, rules(nil))
	_, release, err := d.nri.CreateContainer(d.ctx, testPod("c1"), testContainer("c1"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWitness()
	registered := make(chan struct{})
	go func() {
		defer close(registered)
		connect(t, cfg.SocketPath, "10", "a", w.plugin())
	}()
	stalled := func(most time.Duration) error {
		ctx, cancel := context.WithTimeout(d.ctx, most)
		defer cancel()
		_, r, err := d.nri.CreateContainer(ctx, testPod("c2"), testContainer("c2"))
		r()
		return err
	}
	var stall error
	eventually(t, "the registration stalls creations", func() bool {
		stall = stalled(20 * time.Millisecond)
		return stall != nil && strings.Contains(stall.Error(), "synchronised")
	})
	mustSay(t, stall, "waiting for an NRI plugin to be synchronised", "deadline exceeded")
	if !errors.Is(stall, context.DeadlineExceeded) {
		t.Errorf("%v hides its cause", stall)
	}
	if r, err := d.nri.RemoveContainer(canceled(d.ctx), testPod("c0"), testContainer("c0")); err == nil {
		t.Error("a removal did not wait")
	} else {
		r()
	}
	d.add("c1")
	release()
	<-registered
	if err := stalled(patience); err != nil {
		t.Errorf("creations are stalled still: %v", err)
	}
	if got := w.told["c1"]; !slices.Equal(got, []string{"synchronized"}) {
		t.Errorf("the plugin heard of c1: %v", got)
	}
}

func canceled(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

// TestPluginsAreToldWhatExists checks the pods and containers that the first
// synchronisation has, and that updates may name them afterwards.
func TestPluginsAreToldWhatExists(t *testing.T) {
	t.Parallel()
	d, cfg := newTestDaemon(t, rules(func(r *engine.Review) []engine.Violation {
		for _, c := range r.Changes {
			if c.Pod.GetNamespace() != "default" {
				return []engine.Violation{{Policy: "pods", Message: "whose is it"}}
			}
		}
		return nil
	}))
	d.add("c0")
	d.add("c1")
	d.start(t, cfg)
	told := make(chan string, 1)
	p := connect(t, cfg.SocketPath, "10", "a", &testPlugin{
		synchronize: func(pods []*api.PodSandbox, containers []*api.Container) ([]*api.ContainerUpdate, error) {
			var names []string
			for i := range pods {
				names = append(names, pods[i].GetId(), containers[i].GetId())
			}
			told <- strings.Join(names, " ")
			return nil, nil
		},
	})
	if got, want := <-told, "pod-c0 c0 pod-c1 c1"; got != want {
		t.Errorf("the plugin was told of %q, want %q", got, want)
	}
	if _, err := p.UpdateContainers([]*api.ContainerUpdate{shares("c1", 2)}); err != nil {
		t.Error(err)
	}
	if err := d.remove("c1"); err != nil {
		t.Fatal(err)
	}
	_, err := p.UpdateContainers([]*api.ContainerUpdate{shares("c1", 2)})
	mustSay(t, err, `container "c1", which has not been seen`)
	if err := d.nri.RemovePodSandbox(d.ctx, testPod("c0")); err != nil {
		t.Fatal(err)
	}
	_, err = p.UpdateContainers([]*api.ContainerUpdate{shares("c0", 2)})
	mustSay(t, err, `container "c0", which has not been seen`)
}

// TestFailingSyncDropsThePlugin and no other.
func TestFailingSyncDropsThePlugin(t *testing.T) {
	t.Parallel()
	d, cfg := startTestDaemon(t, rules(nil))
	d.mu.Lock()
	d.failSync = errors.New("not just now")
	d.mu.Unlock()
	if _, err := tryConnect(t, cfg.SocketPath, "10", "a", &testPlugin{}); err == nil {
		t.Error("the plugin is registered without having been told what exists")
	}
	d.mu.Lock()
	d.failSync = nil
	d.mu.Unlock()
	connect(t, cfg.SocketPath, "20", "b", &testPlugin{})
	d.waitFor(t, 1)
}

// TestSyncThatPanics drops the plugin and leaves the daemon alive.
func TestSyncThatPanics(t *testing.T) {
	t.Parallel()
	d, cfg := newTestDaemon(t, rules(nil))
	calls := 0
	cfg.Sync = func(ctx context.Context) ([]*api.PodSandbox, []*api.Container, error) {
		if calls++; calls == 2 {
			panic("boom")
		}
		return d.sync(ctx)
	}
	d.start(t, cfg)
	if _, err := tryConnect(t, cfg.SocketPath, "10", "a", &testPlugin{}); err == nil {
		t.Error("the plugin is registered")
	}
	connect(t, cfg.SocketPath, "20", "b", &testPlugin{})
}

// TestUpdateBeforeSynchronization is refused: it would come from nobody.
func TestUpdateBeforeSynchronization(t *testing.T) {
	t.Parallel()
	d, cfg := newTestDaemon(t, rules(nil))
	d.add("c")
	d.start(t, cfg)
	var p stub.Stub
	var early error
	plugin := &testPlugin{synchronize: func([]*api.PodSandbox, []*api.Container) ([]*api.ContainerUpdate, error) {
		_, early = p.UpdateContainers([]*api.ContainerUpdate{shares("c", 1)})
		return nil, nil
	}}
	p, err := stub.New(plugin, stub.WithPluginName("a"), stub.WithPluginIdx("10"), stub.WithSocketPath(cfg.SocketPath), stub.WithLogger(quiet{}))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	d.waitFor(t, 1)
	mustSay(t, early, "has not been synchronised yet")
	if _, err := p.UpdateContainers([]*api.ContainerUpdate{shares("c", 2)}); err != nil {
		t.Error(err)
	}
	if got, want := d.carriedOut(), []string{"c shares=2"}; !slices.Equal(got, want) {
		t.Errorf("carried out %q, want %q", got, want)
	}
}
