package proxy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine/nri/proxy"
)

// launching is a proxy that starts plugins; prepare fills the directories.
func launching(t *testing.T, prepare func(plugins, configs string)) *rig {
	t.Helper()
	dir := shortDir(t)
	plugins, configs := filepath.Join(dir, "plugins"), filepath.Join(dir, "conf.d")
	for _, d := range []string{plugins, configs} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	prepare(plugins, configs)
	return newRig(t, nil, func(c *proxy.Config) { c.Launch = proxy.Launch{Path: plugins, Config: configs} })
}

// started waits for plugins, by INDEX-NAME.
func (r *rig) started(t testing.TB, want ...string) {
	t.Helper()
	eventually(t, strings.Join(want, ", ")+" are consulted", func() bool {
		var got []string
		for _, p := range r.proxy.Status().Plugins {
			got = append(got, p.String())
		}
		rpl, err := r.runtime.create("probe")
		return slices.Equal(got, want) && err == nil && len(rpl.GetAdjust().GetAnnotations()) == 3*len(want)+min(1, len(want)) // they have one together
	})
}

func write(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestLaunch(t *testing.T) {
	r := launching(t, func(plugins, configs string) {
		install(t, plugins, "10-own", "20-shared", "30-bare")
		write(t, filepath.Join(plugins, "README"), "not a program", 0o644)
		write(t, filepath.Join(configs, "10-own.conf"), "of 10-own", 0o600)
		write(t, filepath.Join(configs, "own.conf"), "of own", 0o600)
		write(t, filepath.Join(configs, "shared.conf"), "of shared", 0o600)
	})
	r.started(t, "10-own", "20-shared", "30-bare")
	rpl, err := r.runtime.create("c")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"config.own": "of 10-own", "config.shared": "of shared", "config.bare": "",
		"environment.own": api.PluginNameEnvVar + "=own " + api.PluginIdxEnvVar + "=10 " + api.PluginSocketEnvVar + "=3",
	} {
		if got := rpl.GetAdjust().GetAnnotations()[name]; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, p := range r.proxy.Status().Plugins {
		if p.Identity == nil || p.Identity.Exe != self(t) || p.Identity.PID == int64(os.Getpid()) {
			t.Errorf("%s is %+v", p, p.Identity)
		}
	}
	if problem := r.proxy.Status().Problem; problem != "" {
		t.Errorf("problem: %s", problem)
	}
}

// Where the index does not say who comes first it is the name of the file, as with NRI,
// which starts one after the other.
func TestLaunchInOrder(t *testing.T) {
	plugins := filepath.Join(shortDir(t), "plugins")
	if err := os.Mkdir(plugins, 0o700); err != nil {
		t.Fatal(err)
	}
	install(t, plugins, "10-a-late", "10-b", "20-c")
	first := func(r *testRuntime) string {
		rpl, err := r.create("c")
		if err != nil {
			t.Error(err)
		}
		return rpl.GetAdjust().GetAnnotations()["first"]
	}
	direct := runtimeWith(t, adaptation.WithPluginPath(plugins))
	r := newRig(t, nil, func(c *proxy.Config) { c.Launch.Path = plugins })
	r.started(t, "10-a-late", "10-b", "20-c")
	if got, want := first(r.runtime), first(direct); got != want || want != "a-late" {
		t.Errorf("first is %s, and %s without the proxy", got, want)
	}
}

func TestWhatIsNotLaunched(t *testing.T) {
	r := launching(t, func(plugins, configs string) {
		install(t, plugins, "10-good", "nonsense", "1-short", "60-piped")
		write(t, filepath.Join(plugins, "20-wasm"), "\x00asm\x01\x00\x00\x00", 0o700)
		write(t, filepath.Join(plugins, "30-open"), "#!/bin/sh\n", 0o777)
		write(t, filepath.Join(plugins, "40-broken"), "no format that there is", 0o700)
		for _, pipe := range []string{filepath.Join(plugins, "50-pipe"), filepath.Join(configs, "piped.conf")} {
			if err := syscall.Mkfifo(pipe, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("gone", filepath.Join(plugins, "70-link")); err != nil {
			t.Fatal(err)
		}
	})
	r.started(t, "10-good")
	eventually(t, "what is wrong is told", func() bool {
		problem := r.proxy.Status().Problem
		for _, want := range []string{
			`nonsense is not started: invalid plugin name "nonsense"`,
			`1-short is not started: invalid plugin index "1"`,
			"20-wasm is not started: it is a WebAssembly plugin, which the runtime runs inside of itself",
			"30-open is not started: others may write it: ",
			"40-broken could not be started",
			"plugins/50-pipe is not started: ", "plugins/50-pipe is no regular file",
			"plugins/60-piped is not started: ", "conf.d/piped.conf is no regular file",
			"plugins/70-link is not started: lstat ", "plugins/gone: no such file or directory",
		} {
			if !strings.Contains(problem, want) {
				return false
			}
		}
		return true
	})
}

func TestLaunchDirectoryThatOthersMayWrite(t *testing.T) {
	r := launching(t, func(plugins, _ string) {
		install(t, plugins, "10-plugin")
		if err := os.Chmod(plugins, 0o777); err != nil {
			t.Fatal(err)
		}
	})
	eventually(t, "it is told", func() bool {
		return strings.Contains(r.proxy.Status().Problem, "directory of NRI plugins: others may write it: ")
	})
	if got := r.proxy.Status().Plugins; len(got) != 0 {
		t.Errorf("started: %v", got)
	}
}

// A plugin that the proxy starts is called what its file is called.
func TestLaunchedPluginThatLies(t *testing.T) {
	r := launching(t, func(plugins, _ string) { install(t, plugins, "10-liar") })
	r.started(t, "10-liar")
}

// Like NRI, the proxy does not start a plugin again that ends by itself, but does
// for the next run of the runtime.
func TestLaunchedAgain(t *testing.T) {
	r := launching(t, func(plugins, _ string) { install(t, plugins, "10-mortal", "20-lasting") })
	r.started(t, "10-mortal", "20-lasting")
	if _, err := r.runtime.create("kill-mortal"); err != nil {
		t.Error(err)
	}
	r.started(t, "20-lasting")
	time.Sleep(3 * launchPoll)
	r.started(t, "20-lasting")
	// A runtime that ends takes its connections along.
	r.runtime.restart(t)
	r.started(t, "10-mortal", "20-lasting")
}

// Each run of the runtime finds what there is by then, as NRI does.
func TestLaunchAfterChanges(t *testing.T) {
	var plugins, configs string
	r := launching(t, func(p, c string) {
		plugins, configs = p, c
		install(t, plugins, "10-own", "30-removed", "nonsense")
		write(t, filepath.Join(configs, "10-own.conf"), "old", 0o600)
	})
	r.started(t, "10-own", "30-removed")
	write(t, filepath.Join(configs, "10-own.conf"), "new", 0o600)
	install(t, plugins, "20-added")
	for _, name := range []string{"30-removed", "nonsense"} {
		if err := os.Remove(filepath.Join(plugins, name)); err != nil {
			t.Fatal(err)
		}
	}
	r.runtime.restart(t)
	r.started(t, "10-own", "20-added")
	rpl, err := r.runtime.create("c")
	if got := rpl.GetAdjust().GetAnnotations()["config.own"]; got != "new" {
		t.Errorf("configured with %q, %v", got, err)
	}
	if problem := r.proxy.Status().Problem; problem != "" {
		t.Errorf("problem: %s", problem)
	}
	// What others may write by now is not started any more.
	if err := os.Chmod(plugins, 0o777); err != nil {
		t.Fatal(err)
	}
	r.runtime.restart(t)
	r.started(t)
	mustSay(t, r, "directory of NRI plugins: others may write it: ")
}

// mustSay waits until the proxy says that something is wrong.
func mustSay(t testing.TB, r *rig, what string) {
	t.Helper()
	eventually(t, "it is told: "+what, func() bool { return strings.Contains(r.proxy.Status().Problem, what) })
}

// A directory that is not there is a mistake; there is nothing in one that is empty.
func TestLaunchDirectoryThatIsNotThere(t *testing.T) {
	r := launching(t, func(plugins, _ string) {
		if err := os.Remove(plugins); err != nil {
			t.Fatal(err)
		}
	})
	mustSay(t, r, "directory of NRI plugins: open ")
	if n := len(r.log.lines("level=error", "Plugins are not started")); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
	if err := os.Mkdir(r.cfg.Launch.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	r.runtime.restart(t)
	eventually(t, "it is there", func() bool { return r.proxy.Status().Problem == "" })
}

const launchPoll = 200 * time.Millisecond

func TestLaunchedPluginsEndWithTheProxy(t *testing.T) {
	r := launching(t, func(plugins, _ string) { install(t, plugins, "10-plugin") })
	r.started(t, "10-plugin")
	pid := r.proxy.Status().Plugins[0].Identity.PID
	r.stop()
	if syscall.Kill(int(pid), 0) == nil {
		t.Errorf("process %d is still there", pid)
	}
	if got := r.proxy.Status().Plugins; len(got) != 0 {
		t.Errorf("connected: %v", got)
	}
}
