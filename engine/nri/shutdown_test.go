package nri_test

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
)

func TestShutdown(t *testing.T) {
	t.Parallel()
	d, cfg := newTestDaemon(t, rules(nil))
	launchPlugins(t, cfg.PluginPath, "50-annotator")
	d.start(t, cfg)
	p := connect(t, cfg.SocketPath, "10", "a", &testPlugin{event: func(string, string) error { return errors.New("still here") }})
	process := spawn(t, cfg.SocketPath, "20", "annotator")
	d.waitFor(t, 3)
	if err := d.nri.Shutdown(d.ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "plugins are disconnected", isClosed(p))
	ended(t, process)
	only(t, filepath.Dir(cfg.SocketPath), "plugins")

	_, release, err := d.nri.CreateContainer(d.ctx, testPod("c"), testContainer("c"))
	if !errors.Is(err, nri.ErrShutdown) {
		t.Errorf("a creation after the shutdown: %v", err)
	}
	release()
	for event, tell := range relayed(d.ctx, d.nri) {
		if err := tell(); err != nil {
			t.Errorf("%s after the shutdown: %v", event, err)
		}
	}
	if info := d.nri.Info(); info.Enabled {
		t.Errorf("%+v", info)
	}
	if _, err := d.nri.PrepareReload(d.ctx, cfg); !errors.Is(err, nri.ErrShutdown) {
		t.Errorf("a reload after the shutdown: %v", err)
	}
	if err := d.nri.Shutdown(d.ctx); err != nil {
		t.Errorf("a second shutdown: %v", err)
	}
}

// ended waits for the end of a plugin process, as NRI's stub has it when the
// connection is lost.
func ended(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("the plugin process goes on")
	}
}

// TestShutdownInTheMiddle of a creation that is not released: it waits as long as
// it may, and then ends NRI nevertheless.
func TestShutdownInTheMiddle(t *testing.T) {
	t.Parallel()
	d, cfg := startTestDaemon(t, rules(nil))
	p := connect(t, cfg.SocketPath, "10", "a", &testPlugin{})
	_, release, err := d.nri.CreateContainer(d.ctx, testPod("c"), testContainer("c"))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	short, cancel := context.WithTimeout(d.ctx, 50*time.Millisecond)
	defer cancel()
	err = d.nri.Shutdown(short)
	mustSay(t, err, "deadline exceeded")
	eventually(t, "plugins are disconnected", isClosed(p))
	_, _, err = d.nri.CreateContainer(d.ctx, testPod("c2"), testContainer("c2"))
	if !errors.Is(err, nri.ErrShutdown) {
		t.Error(err)
	}
}

// TestShutdownBeforeCommit ends what the commit starts.
func TestShutdownBeforeCommit(t *testing.T) {
	t.Parallel()
	d, cfg := startTestDaemon(t, rules(nil))
	cfg.Version = "2"
	r, err := d.nri.PrepareReload(d.ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.nri.Shutdown(d.ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.Commit(d.ctx); !errors.Is(err, nri.ErrShutdown) {
		t.Error(err)
	}
	only(t, filepath.Dir(cfg.SocketPath))
}

// TestNothingIsLoggedAsAnError that is none: a whole ordinary life of NRI, with
// plugins that come and go in every way. They are processes, since a plugin within
// this one would share the log.
func TestNothingIsLoggedAsAnError(t *testing.T) {
	d, cfg := newTestDaemon(t, rules(objectTo(engine.OCIHook, engine.Deny)))
	launchPlugins(t, cfg.PluginPath, "50-annotator", "60-configured")
	d.start(t, cfg)
	ended(t, spawn(t, cfg.SocketPath, "10", "leaver"))
	d.waitFor(t, 2)
	killed := spawn(t, cfg.SocketPath, "20", "annotator")
	d.waitFor(t, 3)
	_ = killed.Process.Kill()
	d.waitFor(t, 2)
	crasher := spawn(t, cfg.SocketPath, "25", "crasher")
	d.waitFor(t, 3)
	if _, err := d.create("c1"); err != nil {
		t.Fatal(err)
	}
	ended(t, crasher)
	spawn(t, cfg.SocketPath, "30", "hooker")
	d.waitFor(t, 3)
	if _, err := d.create("c2"); err == nil {
		t.Error("nothing was denied")
	}
	cfg.Version = "2"
	d.reload(t, cfg)
	spawn(t, cfg.SocketPath, "10", "annotator")
	d.waitFor(t, 3)
	if err := d.nri.Shutdown(d.ctx); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // NRI's goroutines have the last word

	all := d.log.everybody()
	if lines := all.errors(); len(lines) > 0 {
		t.Errorf("logged:\n%s", strings.Join(lines, ""))
	}
	for _, line := range all.warnings() {
		if !strings.Contains(line, "25-crasher") { // a container had to do without it
			t.Errorf("logged: %s", line)
		}
	}
	if len(all.book.find(all.from, `NRI: plugin \"10-leaver\" connected and synchronized`)) == 0 {
		t.Error("NRI's log went elsewhere")
	}
}

// TestLateAnswerIsLoggedAsAnError, which it is: the plugin's adjustment is lost.
func TestLateAnswerIsLoggedAsAnError(t *testing.T) {
	impatient(t)
	d, cfg := startTestDaemon(t, rules(nil))
	spawn(t, cfg.SocketPath, "10", "sleeper")
	d.waitFor(t, 1)
	if _, err := d.create("c"); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(d.log.errors(), "")
	if !strings.Contains(got, "closing plugin 10-sleeper, failed to handle CreateContainer request") {
		t.Errorf("logged: %q", got)
	}
}
