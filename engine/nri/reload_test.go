package nri_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
)

// reload changes the settings, which must succeed.
func (d *testDaemon) reload(t *testing.T, cfg nri.Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	r, err := d.nri.PrepareReload(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Commit(ctx); err != nil {
		t.Fatal(err)
	}
}

func isClosed(c *connected) func() bool {
	return func() bool {
		select {
		case <-c.closed:
			return true
		default:
			return false
		}
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// only fails when the directory has anything but the names.
func only(t *testing.T, dir string, names ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s has %q and nothing else", dir, names), func() bool {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			got = append(got, e.Name())
		}
		return slices.Equal(got, names)
	})
}

// TestReload changes one setting after the other; whatever was connected before
// is disconnected, and what is configured afterwards works.
func TestReload(t *testing.T) {
	t.Parallel()
	d, cfg := startTestDaemon(t, rules(nil))
	if _, err := d.create("c0"); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name   string
		change func()
	}{
		{"plugin path, same socket", func() { cfg.PluginPath += "2" }},
		{"version", func() { cfg.Version = "2" }},
		{"another socket", func() { cfg.SocketPath = filepath.Join(filepath.Dir(cfg.SocketPath), "2", "nri.sock") }},
		{"disabled", func() { cfg.Enable = false }},
		{"enabled", func() { cfg.Enable = true }},
		{"without a socket", func() { cfg.SocketPath = "" }},
		{"with one", func() { cfg.SocketPath = filepath.Join(filepath.Dir(cfg.PluginPath), "nri.sock") }},
	} {
		before := d.nri.Info()
		var old *connected
		if before.SocketPath != "" {
			old = connect(t, before.SocketPath, "10", "old", asks(annotation("by", "old")))
			d.waitFor(t, 1)
		}
		step.change()
		d.reload(t, cfg)

		if old != nil {
			eventually(t, step.name+": the old plugin is disconnected", isClosed(old))
		}
		if before.SocketPath != "" && d.nri.Info().SocketPath != before.SocketPath && exists(before.SocketPath) {
			t.Errorf("%s: the old socket is left behind", step.name)
		}
		if info := d.nri.Info(); len(info.Plugins) > 0 || info.Enabled != cfg.Enable {
			t.Errorf("%s: %+v", step.name, info)
		}
		if a, err := d.create("c1"); err != nil || len(a.GetAnnotations()) > 0 {
			t.Errorf("%s: %v, %v", step.name, a, err)
		}
		if !cfg.Enable || cfg.SocketPath == "" {
			continue
		}
		told := make(chan int, 1)
		fresh := asks(annotation("by", "new"))
		fresh.synchronize = func(_ []*api.PodSandbox, containers []*api.Container) ([]*api.ContainerUpdate, error) {
			told <- len(containers)
			return nil, nil
		}
		p := connect(t, cfg.SocketPath, "10", "new", fresh)
		if n := <-told; n != 2 {
			t.Errorf("%s: the new plugin was told of %d containers, want 2", step.name, n)
		}
		d.waitFor(t, 1)
		if a, err := d.create("c1"); err != nil || a.GetAnnotations()["by"] != "new" {
			t.Errorf("%s: %v, %v", step.name, a, err)
		}
		if _, err := p.UpdateContainers([]*api.ContainerUpdate{shares("c1", 1)}); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		p.Stop()
		eventually(t, "the plugin is gone", func() bool { return len(d.nri.Info().Plugins) == 0 })
	}
	only(t, filepath.Dir(cfg.SocketPath), "2", "nri.sock")
	only(t, filepath.Join(filepath.Dir(cfg.SocketPath), "2"))
}

// TestReloadWithoutChange leaves plugins connected.
func TestReloadWithoutChange(t *testing.T) {
	t.Parallel()
	d, cfg := startTestDaemon(t, rules(nil))
	p := connect(t, cfg.SocketPath, "10", "a", asks(annotation("by", "a")))
	d.waitFor(t, 1)
	cfg.Engine, cfg.Sync, cfg.Update = nil, nil, nil
	d.reload(t, cfg)
	if a, err := d.create("c"); err != nil || a.GetAnnotations()["by"] != "a" || isClosed(p)() {
		t.Errorf("%v, %v", a, err)
	}
	cfg.Version = "2"
	d.reload(t, cfg)
	eventually(t, "the plugin is disconnected", isClosed(p))
	connect(t, cfg.SocketPath, "10", "a", asks(annotation("by", "a"), shares("c", 3)))
	d.waitFor(t, 1)
	if _, err := d.create("c2"); err != nil {
		t.Errorf("what was left out is not as before: %v", err)
	}
	if got, want := d.carriedOut(), []string{"c shares=3"}; !slices.Equal(got, want) {
		t.Errorf("carried out %q, want %q", got, want)
	}
}

// A change can be made once, and only of what it was prepared for.
func TestReloadOnce(t *testing.T) {
	t.Parallel()
	d, cfg := startTestDaemon(t, rules(nil))
	prepare := func(version string) *nri.Reload {
		t.Helper()
		next := cfg
		next.Version, next.Engine, next.Sync, next.Update = version, nil, nil, nil
		next.SocketPath += "/../" + filepath.Base(cfg.SocketPath) + "/" // as somebody may write it
		r, err := d.nri.PrepareReload(d.ctx, next)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first, stale, back := prepare("2"), prepare("3"), prepare(cfg.Version)
	defer first.Abort()
	if err := first.Commit(d.ctx); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*nri.Reload{"the same again": first, "an older one": stale, "an older one without a change": back} {
		if err := r.Commit(d.ctx); !errors.Is(err, nri.ErrReloaded) {
			t.Errorf("%s: %v", name, err)
		}
		r.Abort()
	}
	if _, err := d.create("c"); err != nil || !d.nri.Info().Enabled {
		t.Errorf("NRI does not go on: %v, %+v", err, d.nri.Info())
	}
}

// TestReloadThatFails leaves everything as it was.
func TestReloadThatFails(t *testing.T) {
	t.Parallel()
	d, cfg := newTestDaemon(t, rules(nil))
	launchPlugins(t, cfg.PluginPath, "20-annotator")
	d.start(t, cfg)
	p := connect(t, cfg.SocketPath, "10", "a", asks(annotation("a", "1")))
	d.waitFor(t, 2)
	stays := func(what string) {
		t.Helper()
		a, err := d.create("c")
		if err != nil || a.GetAnnotations()["a"] != "1" || a.GetAnnotations()["by"] != "annotator" || isClosed(p)() {
			t.Errorf("after %s: %v, %v", what, a, err)
		}
		if info := d.nri.Info(); info.PluginPath != cfg.PluginPath || len(info.Plugins) != 2 {
			t.Errorf("after %s: %+v", what, info)
		}
		only(t, filepath.Dir(cfg.SocketPath), "nri.sock", "plugins")
	}

	for _, c := range []struct {
		want   string
		change func(*nri.Config)
	}{
		{"NRI stays as it is: the plugin path", func(c *nri.Config) { c.PluginPath = "relative" }},
		{"NRI stays as it is: the runtime's name", func(c *nri.Config) { c.Name = "" }},
		{"something else than a socket", func(c *nri.Config) { c.SocketPath = cfg.PluginPath }},
		{"NRI socket", func(c *nri.Config) { c.SocketPath = "/proc/nowhere/nri.sock" }},
	} {
		bad := cfg
		c.change(&bad)
		_, err := d.nri.PrepareReload(d.ctx, bad)
		mustSay(t, err, c.want)
		stays(c.want)
	}

	next := cfg
	next.Version = "2"
	r, err := d.nri.PrepareReload(d.ctx, next)
	if err != nil {
		t.Fatal(err)
	}
	r.Abort()
	stays("an abort")

	r, err = d.nri.PrepareReload(d.ctx, next)
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	d.failSync = errors.New("the database is locked")
	d.mu.Unlock()
	mustSay(t, r.Commit(d.ctx), "NRI stays as it is", "the database is locked")
	d.mu.Lock()
	d.failSync = nil
	d.mu.Unlock()
	stays("a commit that failed")
}

// TestReloadOfNothing does nothing, unless it is to do something.
func TestReloadOfNothing(t *testing.T) {
	var none *nri.Integration
	r, err := none.PrepareReload(t.Context(), nri.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Commit(t.Context()); err != nil {
		t.Error(err)
	}
	r.Abort()
	_, err = none.PrepareReload(t.Context(), nri.Config{Enable: true})
	mustSay(t, err, "no NRI integration")
}

// TestLaunchedPluginsAreEnded with the run of NRI that launched them.
func TestLaunchedPluginsAreEnded(t *testing.T) {
	t.Parallel()
	d, cfg := newTestDaemon(t, rules(nil))
	launchPlugins(t, cfg.PluginPath, "10-pid")
	file := filepath.Join(filepath.Dir(cfg.PluginPath), "pid")
	if err := os.MkdirAll(cfg.PluginConfigPath, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.PluginConfigPath, "10-pid.conf"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	process := func() int {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(string(text))
		if err != nil {
			t.Fatal(err)
		}
		return pid
	}
	gone := func(pid int) func() bool {
		return func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
	}
	d.start(t, cfg)
	first := process()
	cfg.Version = "2"
	d.reload(t, cfg)
	second := process()
	if first == second {
		t.Fatal("the plugin was not launched again")
	}
	eventually(t, "the first process is gone", gone(first))
	if gone(second)() {
		t.Error("the second process is gone as well")
	}
	if err := d.nri.Shutdown(d.ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second process is gone", gone(second))
}

// TestReloadUnderLoad reloads again and again while containers are created and
// removed and plugins come back as soon as they are cut off. No creation slips
// through without the plugin in the plugin directory, and who is connected in the
// end has heard of each container once.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	const creators, reloads, plugins = 4, 6, 3
	d, cfg := newTestDaemon(t, rules(nil))
	launchPlugins(t, cfg.PluginPath, "50-annotator")
	d.start(t, cfg)

	var wg, background sync.WaitGroup
	done := make(chan struct{})
	var made atomic.Int64
	for range creators {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				id := fmt.Sprint("c", made.Add(1)-1)
				a, err := d.create(id)
				if err != nil || a.GetAnnotations()["by"] != "annotator" {
					t.Errorf("creating %s: %v, %v", id, a, err)
					return
				}
				if len(id)%2 == 0 {
					if err := d.remove(id); err != nil {
						t.Errorf("removing %s: %v", id, err)
					}
				}
			}
		})
	}
	last := make([]*witness, plugins)
	for i := range last {
		background.Go(func() {
			for {
				select {
				case <-done:
					if last[i] != nil {
						return
					}
				default:
				}
				w := newWitness()
				c, err := tryConnect(t, cfg.SocketPath, fmt.Sprint(10+i), "witness", w.plugin())
				if err != nil {
					continue // cut off while it registered
				}
				last[i] = w
				select {
				case <-c.closed:
					last[i] = nil
				case <-done:
					if isClosed(c)() {
						last[i] = nil
						continue
					}
					return
				}
			}
		})
	}
	for i := range reloads {
		time.Sleep(30 * time.Millisecond)
		cfg.Version = fmt.Sprint(i)
		d.reload(t, cfg)
	}
	time.Sleep(100 * time.Millisecond)
	close(done)
	background.Wait()
	wg.Wait()
	d.waitFor(t, plugins+1)
	t.Logf("%d containers, %d of them left", made.Load(), len(d.containers))
	for i, w := range last {
		w.check(t, fmt.Sprint(i), d.containers, int(made.Load()))
	}
}

// TestReloadWaitsForReleases of creations, which the plugins of the new run would
// hear of in no other way; and gives up when its context ends.
func TestReloadWaitsForReleases(t *testing.T) {
	t.Parallel()
	d, cfg := startTestDaemon(t, rules(nil))
	_, release, err := d.nri.CreateContainer(d.ctx, testPod("c"), testContainer("c"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Version = "2"
	r, err := d.nri.PrepareReload(d.ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(d.ctx, 50*time.Millisecond)
	defer cancel()
	err = r.Commit(short)
	mustSay(t, err, "NRI stays as it is: containers are still being created or removed", "deadline exceeded")

	mustSay(t, r.Commit(d.ctx), "prepare another")
	if r, err = d.nri.PrepareReload(d.ctx, cfg); err != nil {
		t.Fatal(err)
	}
	committed := make(chan error, 1)
	go func() { committed <- r.Commit(d.ctx) }()
	select {
	case err := <-committed:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	d.add("c")
	release()
	if err := <-committed; err != nil {
		t.Fatal(err)
	}
}

// TestCreationsWaitForAReload while events pass, and end with their context. The
// daemon here comes with the very lock that its Sync needs: it gets an error and
// not a deadlock.
func TestCreationsWaitForAReload(t *testing.T) {
	t.Parallel()
	var lock sync.Mutex
	inSync, goOn := make(chan struct{}), make(chan struct{})
	d, cfg := newTestDaemon(t, rules(nil))
	calls := 0
	cfg.Sync = func(ctx context.Context) ([]*api.PodSandbox, []*api.Container, error) {
		if calls++; calls > 1 {
			inSync <- struct{}{}
			<-goOn
			lock.Lock()
			defer lock.Unlock()
		}
		return d.sync(ctx)
	}
	d.start(t, cfg)
	cfg.Version, cfg.Sync = "2", nil
	r, err := d.nri.PrepareReload(d.ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	committed := make(chan error, 1)
	go func() { committed <- r.Commit(d.ctx) }()
	<-inSync

	if err := d.nri.StartContainer(d.ctx, testPod("c0"), testContainer("c0")); err != nil {
		t.Errorf("an event was held up: %v", err)
	}
	waits := make(chan error, 1)
	go func() {
		_, err := d.create("c1")
		waits <- err
	}()
	select {
	case err := <-waits:
		t.Fatalf("a creation did not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}

	lock.Lock()
	close(goOn)
	short, cancel := context.WithTimeout(d.ctx, 50*time.Millisecond)
	defer cancel()
	_, _, err = d.nri.CreateContainer(short, testPod("c2"), testContainer("c2"))
	mustSay(t, err, "waiting for NRI to be reloaded", "deadline exceeded")
	lock.Unlock()

	if err := <-committed; err != nil {
		t.Error(err)
	}
	if err := <-waits; err != nil {
		t.Error(err)
	}
}

// TestReloadIsGivenUp when Sync hangs for longer than the context lasts. The old
// run goes on, and what hung is cleaned up.
func TestReloadIsGivenUp(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	var hang atomic.Bool
	d, cfg := newTestDaemon(t, rules(nil))
	cfg.Sync = func(ctx context.Context) ([]*api.PodSandbox, []*api.Container, error) {
		if hang.Load() {
			<-goOn
		}
		return d.sync(ctx)
	}
	launchPlugins(t, cfg.PluginPath, "50-annotator")
	d.start(t, cfg)
	connect(t, cfg.SocketPath, "10", "a", asks(annotation("a", "1")))
	d.waitFor(t, 2)
	cfg.Version, cfg.Sync = "2", nil
	r, err := d.nri.PrepareReload(d.ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	hang.Store(true)
	short, cancel := context.WithTimeout(d.ctx, 100*time.Millisecond)
	defer cancel()
	mustSay(t, r.Commit(short), "NRI stays as it is", "starting NRI", "deadline exceeded")
	close(goOn)
	if a, err := d.create("c"); err != nil || a.GetAnnotations()["a"] != "1" {
		t.Errorf("%v, %v", a, err)
	}
	only(t, filepath.Dir(cfg.SocketPath), "nri.sock", "plugins")
}

// TestLateUpdateHasNoEffect: it is being judged when a reload ends the run that it
// came through.
func TestLateUpdateHasNoEffect(t *testing.T) {
	t.Parallel()
	judging, goOn := make(chan struct{}), make(chan struct{})
	d, cfg := newTestDaemon(t, rules(func(r *engine.Review) []engine.Violation {
		if r.Operation == engine.UpdateContainers {
			close(judging)
			<-goOn
		}
		return nil
	}))
	d.add("c")
	d.start(t, cfg)
	p := connect(t, cfg.SocketPath, "10", "a", &testPlugin{})
	d.waitFor(t, 1)
	answered := make(chan error, 1)
	go func() {
		_, err := p.UpdateContainers([]*api.ContainerUpdate{shares("c", 1)})
		answered <- err
	}()
	<-judging
	cfg.Version = "2"
	d.reload(t, cfg)
	close(goOn)
	if err := <-answered; err == nil {
		t.Error("the plugin was told that its update was carried out")
	}
	time.Sleep(50 * time.Millisecond)
	if got := d.carriedOut(); got != nil {
		t.Errorf("carried out %q", got)
	}
}

// TestSilentConnection is one that never registers: it neither holds up a reload
// nor gets anywhere after it.
func TestSilentConnection(t *testing.T) {
	t.Parallel()
	d, cfg := startTestDaemon(t, rules(nil))
	silent, err := net.Dial("unix", cfg.SocketPath)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	time.Sleep(20 * time.Millisecond)
	cfg.Version = "2"
	d.reload(t, cfg)
	connect(t, cfg.SocketPath, "10", "a", &testPlugin{})
	d.waitFor(t, 1)
	if err := silent.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := silent.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection is open still: %v", err)
	}
}
