package nri_test

import (
	"context"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine/nri"
)

func TestDisabled(t *testing.T) {
	book, ctx := newTestLog(t)
	off, err := nri.New(ctx, nri.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if len(book.book.find(book.from, "level=info", "NRI is disabled", book.mark)) != 1 {
		t.Error("the log does not say so")
	}
	for name, n := range map[string]*nri.Integration{"disabled": off, "nil": nil} {
		t.Run(name, func(t *testing.T) {
			doesNothing(t, n)
			if err := n.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			doesNothing(t, n)
		})
	}
}

// doesNothing calls every method but Shutdown.
func doesNothing(t *testing.T, n *nri.Integration) {
	t.Helper()
	ctx, pod, ctr := t.Context(), testPod("c"), testContainer("c")
	adjust, release, err := n.CreateContainer(ctx, pod, ctr)
	if adjust != nil || err != nil {
		t.Errorf("CreateContainer: %v, %v", adjust, err)
	}
	release()
	release()
	requested := &api.LinuxResources{Cpu: &api.LinuxCPU{Cpus: "0"}}
	if r, err := n.UpdateContainer(ctx, pod, ctr, requested); r != requested || err != nil {
		t.Errorf("UpdateContainer: %v, %v", r, err)
	}
	removed, err := n.RemoveContainer(ctx, pod, ctr)
	if err != nil {
		t.Errorf("RemoveContainer: %v", err)
	}
	removed()
	unblock, err := n.BlockSync(ctx)
	if err != nil {
		t.Errorf("BlockSync: %v", err)
	}
	unblock()
	for name, tell := range relayed(ctx, n) {
		if err := tell(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if info := n.Info(); info.Enabled || info.Plugins != nil {
		t.Errorf("Info: %+v", info)
	}
}

// relayed has a call for each event that is passed on and nothing more.
func relayed(ctx context.Context, n *nri.Integration) map[string]func() error {
	pod, ctr := testPod("c"), testContainer("c")
	cpus := func(s string) *api.LinuxResources { return &api.LinuxResources{Cpu: &api.LinuxCPU{Cpus: s}} }
	return map[string]func() error{
		"RunPodSandbox pod-c":        func() error { return n.RunPodSandbox(ctx, pod) },
		"UpdatePodSandbox pod-c01":   func() error { return n.UpdatePodSandbox(ctx, pod, cpus("0"), cpus("1")) },
		"PostUpdatePodSandbox pod-c": func() error { return n.PostUpdatePodSandbox(ctx, pod) },
		"StopPodSandbox pod-c":       func() error { return n.StopPodSandbox(ctx, pod) },
		"RemovePodSandbox pod-c":     func() error { return n.RemovePodSandbox(ctx, pod) },
		"PostCreateContainer c":      func() error { return n.PostCreateContainer(ctx, pod, ctr) },
		"StartContainer c":           func() error { return n.StartContainer(ctx, pod, ctr) },
		"PostStartContainer c":       func() error { return n.PostStartContainer(ctx, pod, ctr) },
		"PostUpdateContainer c":      func() error { return n.PostUpdateContainer(ctx, pod, ctr) },
		"StopContainer c":            func() error { return n.StopContainer(ctx, pod, ctr) },
		"RemoveContainer c":          func() error { release, err := n.RemoveContainer(ctx, pod, ctr); release(); return err },
	}
}

func TestDefaultPaths(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name                  string
		rootless, home, xdg   string
		plugins, config       string
		wantPlugins, wantConf string
	}{
		{name: "root", home: "/home/u", xdg: "/xdg",
			wantPlugins: "/usr/libexec/testd/nri-plugins", wantConf: "/etc/testd/nri/conf.d"},
		{name: "rootless", rootless: "/state", home: "/home/u",
			wantPlugins: "/home/u/.local/libexec/testd/nri-plugins", wantConf: "/home/u/.config/testd/nri/conf.d"},
		{name: "rootless with a config home", rootless: "/state", home: "/home/u", xdg: "/xdg",
			wantPlugins: "/home/u/.local/libexec/testd/nri-plugins", wantConf: "/xdg/testd/nri/conf.d"},
		{name: "rootless without HOME", rootless: "/state",
			wantPlugins: filepath.Join(me.HomeDir, ".local/libexec/testd/nri-plugins"),
			wantConf:    filepath.Join(me.HomeDir, ".config/testd/nri/conf.d")},
		{name: "plugins given", rootless: "/state", home: "/home/u", plugins: "/p",
			wantPlugins: "/p", wantConf: "/home/u/.config/testd/nri/conf.d"},
		{name: "configuration given", config: "/c",
			wantPlugins: "/usr/libexec/testd/nri-plugins", wantConf: "/c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("ROOTLESSKIT_STATE_DIR", c.rootless)
			t.Setenv("HOME", c.home)
			t.Setenv("XDG_CONFIG_HOME", c.xdg)
			d, _ := startTestDaemon(t, rules(nil), func(cfg *nri.Config) {
				cfg.PluginPath, cfg.PluginConfigPath, cfg.SocketPath = c.plugins, c.config, ""
			})
			info := d.nri.Info()
			if info.PluginPath != c.wantPlugins || info.PluginConfigPath != c.wantConf {
				t.Errorf("got %s and %s, want %s and %s", info.PluginPath, info.PluginConfigPath, c.wantPlugins, c.wantConf)
			}
		})
	}
}

func TestConfigMistakes(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*nri.Config)
		want   string
	}{
		{"no name", func(c *nri.Config) { c.Name = "" }, `name ""`},
		{"name that is a path", func(c *nri.Config) { c.Name = "../etc" }, `name "../etc"`},
		{"name that climbs", func(c *nri.Config) { c.Name = ".." }, `name ".."`},
		{"no engine", func(c *nri.Config) { c.Engine = nil }, "set Config.Engine"},
		{"no sync", func(c *nri.Config) { c.Sync = nil }, "set Config.Sync"},
		{"relative plugin path", func(c *nri.Config) { c.PluginPath = "p" }, `plugin path "p" must be absolute`},
		{"relative configuration", func(c *nri.Config) { c.PluginConfigPath = "p" }, `plugin configuration path "p" must be absolute`},
		{"relative socket", func(c *nri.Config) { c.SocketPath = "p" }, `socket path "p" must be absolute`},
		{"stray executable", func(c *nri.Config) {
			if err := os.MkdirAll(c.PluginPath, 0o700); err != nil {
				panic(err)
			}
			if err := os.WriteFile(filepath.Join(c.PluginPath, "stray"), nil, 0o700); err != nil {
				panic(err)
			}
		}, "has an executable that is no plugin"},
		{"plugin path is a file", func(c *nri.Config) {
			if err := os.WriteFile(c.PluginPath, nil, 0o600); err != nil {
				panic(err)
			}
		}, "NRI plugin path"},
		{"unreadable configuration", func(c *nri.Config) {
			for _, dir := range []string{c.PluginPath, filepath.Join(c.PluginConfigPath, "10-x.conf")} {
				if err := os.MkdirAll(dir, 0o700); err != nil {
					panic(err)
				}
			}
			if err := os.WriteFile(filepath.Join(c.PluginPath, "10-x"), nil, 0o700); err != nil {
				panic(err)
			}
		}, "configuration of NRI plugin 10-x"},
		{"something else at the socket", func(c *nri.Config) {
			if err := os.WriteFile(c.SocketPath, []byte("precious"), 0o600); err != nil {
				panic(err)
			}
		}, "something else than a socket"},
		{"socket path too long", func(c *nri.Config) {
			c.SocketPath = filepath.Join(filepath.Dir(c.SocketPath), strings.Repeat("d", 120), "s")
		}, "bytes too long"},
		{"socket name too long", func(c *nri.Config) {
			c.SocketPath = filepath.Join(filepath.Dir(c.SocketPath), strings.Repeat("s", 107))
		}, "bytes too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, cfg := newTestDaemon(t, rules(nil))
			c.change(&cfg)
			n, err := nri.New(d.ctx, cfg)
			mustSay(t, err, c.want)
			if n != nil {
				t.Error("there is an integration nevertheless")
			}
		})
	}
}

func TestFailingSyncStopsTheStart(t *testing.T) {
	d, cfg := newTestDaemon(t, rules(nil))
	d.failSync = os.ErrPermission
	_, err := nri.New(d.ctx, cfg)
	mustSay(t, err, "starting NRI", "listing what exists", "permission denied")
	if _, err := net.Dial("unix", cfg.SocketPath); err == nil {
		t.Error("plugins can connect to what did not start")
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	d, cfg := newTestDaemon(t, rules(nil))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: cfg.SocketPath})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	d.start(t, cfg)
	connect(t, cfg.SocketPath, "10", "a", &testPlugin{})
}

func TestNoSocketNoPlugins(t *testing.T) {
	d, cfg := startTestDaemon(t, rules(nil), func(c *nri.Config) { c.SocketPath = "" })
	entries, err := os.ReadDir(filepath.Dir(cfg.PluginPath))
	if err != nil || len(entries) > 0 {
		t.Errorf("there is something to connect to: %v, %v", entries, err)
	}
	if info := d.nri.Info(); !info.Enabled || info.SocketPath != "" {
		t.Errorf("%+v", info)
	}
}
