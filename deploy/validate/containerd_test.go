package validate

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/containerd/containerd/v2/cmd/containerd/server/config"
	_ "github.com/containerd/containerd/v2/plugins/nri" // registers its configuration
	"github.com/containerd/containerd/v2/version"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"
	"github.com/pelletier/go-toml/v2"
)

// nriPlugin is what NRI is called among containerd's plugins.
const nriPlugin = "io.containerd.nri.v1.nri"

// TestContainerd loads the samples as containerd does, and their NRI section, strictly, into
// its own type.
func TestContainerd(t *testing.T) {
	const closed = "socket /run/nri-runtime/nri.sock, plugins in /var/lib/nri-guard/no-plugins"
	for file, want := range map[string]string{
		"validator.toml": "socket /var/run/nri/nri.sock, plugins in /opt/nri/plugins, validator true, required [nri-guard], tolerated by ",
		"proxy.toml":     closed + ", validator false, required [], tolerated by ",
		"both.toml":      closed + ", validator true, required [nri-guard], tolerated by ",
	} {
		t.Run(file, func(t *testing.T) {
			path := filepath.Join("../containerd", file)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			// What containerd only warns of is an error here.
			if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&config.Config{}); err != nil {
				t.Error(err)
			}
			if got := loadContainerd(t, path); got != want {
				t.Errorf("got:  %s\nwant: %s", got, want)
			}
		})
	}
}

// TestContainerdDropIns has the samples beside the configuration that a node has already, of
// whatever version. containerd 2.3 does not start with a drop-in of a newer version than that
// file's, 2.2 drops what the file says of CRI, and 1.7 does not know version 3: this
// containerd, which forgives it, is held to no newer version itself.
func TestContainerdDropIns(t *testing.T) {
	for _, file := range []string{"validator.toml", "proxy.toml", "both.toml"} {
		path := filepath.Join("../containerd", file)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		alone := loadContainerd(t, path)
		for _, root := range []struct {
			version int
			cri     string // plugin that has CRI's settings
		}{
			{2, "io.containerd.grpc.v1.cri"}, {3, "io.containerd.cri.v1.runtime"}, {4, "io.containerd.cri.v1.runtime"},
		} {
			t.Run(fmt.Sprintf("%s/%d", file, root.version), func(t *testing.T) {
				dir := t.TempDir()
				write(t, dir, "config.toml", fmt.Sprintf("version = %d\nimports = ['conf.d/*.toml']\n[plugins.'%s']\nenable_cdi = true\n", root.version, root.cri))
				write(t, dir, "conf.d/50-nri-guard.toml", string(text))
				main := filepath.Join(dir, "config.toml")
				if v := versionOf(t, text); v > root.version {
					t.Errorf("its version is %d", v)
				}
				if got := loadContainerd(t, main); got != alone {
					t.Errorf("got:  %s\nwant: %s", got, alone)
				}
				if cri, _ := load(t, main).Plugins[root.cri].(map[string]any); cri["enable_cdi"] != true {
					t.Errorf("CRI's settings are gone: %v", cri)
				}
			})
		}
	}
}

func versionOf(t *testing.T, text []byte) int {
	t.Helper()
	var c struct{ Version int }
	if err := toml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c.Version
}

// TestContainerdImports holds what nri-guard doctor believes of imports.
func TestContainerdImports(t *testing.T) {
	const section = "[plugins.'" + nriPlugin + "']\n"
	const inner = "[plugins.'" + nriPlugin + "'.default_validator]\n"
	for name, c := range map[string]struct {
		main, first, second string // first and second are imported, in this order
		want                string
	}{
		"the later wins, in both directions": {
			section + "disable = true\nsocket_path = '/main'", section + "disable = false\nsocket_path = '/first'", section + "socket_path = '/second'",
			"socket /second, plugins in /opt/nri/plugins, validator false, required [], tolerated by "},
		"what is not said stays": {
			section + "plugin_path = '/main'\n" + inner + "enable = true\nrequired_plugins = ['a']", section + "socket_path = '/first'", "",
			"socket /first, plugins in /main, validator true, required [a], tolerated by "},
		"a list takes the place of a list": {
			inner + "enable = true\nrequired_plugins = ['a', 'b']", inner + "required_plugins = ['c']", "",
			"socket /var/run/nri/nri.sock, plugins in /opt/nri/plugins, validator true, required [c], tolerated by "},
		"an empty one too": {
			inner + "enable = true\nrequired_plugins = ['a']", inner + "required_plugins = []", "",
			"socket /var/run/nri/nri.sock, plugins in /opt/nri/plugins, validator true, required [], tolerated by "},
		"names in any case": {
			section + "Socket_Path = '/main'", inner + "ENABLE = true\nRequired_Plugins = ['a']", "",
			"socket /main, plugins in /opt/nri/plugins, validator true, required [a], tolerated by "},
		"an empty path is said": {
			section + "plugin_path = '/main'", section + "plugin_path = ''", "",
			"socket /var/run/nri/nri.sock, plugins in , validator false, required [], tolerated by "},
		"an empty annotation is said": {
			inner + "tolerate_missing_plugins_annotation = 'main'", inner + "tolerate_missing_plugins_annotation = ''", "",
			"socket /var/run/nri/nri.sock, plugins in /opt/nri/plugins, validator false, required [], tolerated by "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "config.toml", "version = 3\nimports = ['conf.d/*.toml']\n"+c.main)
			write(t, dir, "conf.d/10-first.toml", "version = 3\n"+c.first)
			write(t, dir, "conf.d/20-second.toml", "version = 3\n"+c.second)
			if got := loadContainerd(t, filepath.Join(dir, "config.toml")); got != c.want {
				t.Errorf("got:  %s\nwant: %s", got, c.want)
			}
		})
	}
}

// TestContainerdDisabled holds that disabled plugins of all files add up.
func TestContainerdDisabled(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "config.toml", "version = 3\nimports = ['a.toml']\ndisabled_plugins = ['"+nriPlugin+"']")
	write(t, dir, "a.toml", "version = 3\ndisabled_plugins = []")
	if got := fmt.Sprint(load(t, filepath.Join(dir, "config.toml")).DisabledPlugins); got != "["+nriPlugin+"]" {
		t.Error(got)
	}
}

// loadContainerd says what NRI is told by a configuration.
func loadContainerd(t *testing.T, file string) string {
	t.Helper()
	section, err := toml.Marshal(load(t, file).Plugins[nriPlugin])
	if err != nil {
		t.Fatal(err)
	}
	into := defaults(t)
	if err := toml.NewDecoder(bytes.NewReader(section)).DisallowUnknownFields().Decode(into); err != nil {
		t.Fatalf("%v\n%s", err, section)
	}
	// The type is internal to containerd; what it holds is not.
	text, err := toml.Marshal(into)
	if err != nil {
		t.Fatal(err)
	}
	var nri struct {
		Disable          bool   `toml:"disable"`
		SocketPath       string `toml:"socket_path"`
		PluginPath       string `toml:"plugin_path"`
		DefaultValidator struct {
			Enable    bool     `toml:"enable"`
			Required  []string `toml:"required_plugins"`
			Tolerated string   `toml:"tolerate_missing_plugins_annotation"`
		} `toml:"default_validator"`
	}
	if err := toml.Unmarshal(text, &nri); err != nil {
		t.Fatal(err)
	}
	if nri.Disable {
		return "disabled"
	}
	v := nri.DefaultValidator
	return fmt.Sprintf("socket %s, plugins in %s, validator %t, required %v, tolerated by %s",
		nri.SocketPath, nri.PluginPath, v.Enable, v.Required, v.Tolerated)
}

// load reads a configuration as containerd does at its start, and takes each file to the newest
// version, its plugins' settings included.
func load(t *testing.T, file string) *config.Config {
	t.Helper()
	c := &config.Config{Version: version.ConfigVersion, Plugins: map[string]any{}}
	plugins := func() iter.Seq[plugin.Registration] {
		return slices.Values(registry.Graph(func(*plugin.Registration) bool { return false }))
	}
	if err := config.LoadConfigWithPlugins(context.Background(), file, plugins, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// defaults is containerd's default configuration of NRI. It is shared by all who ask, so
// that a copy is made.
func defaults(t *testing.T) any {
	t.Helper()
	for _, r := range registry.Graph(func(*plugin.Registration) bool { return false }) {
		if r.URI() == nriPlugin {
			return clone(t, r.Config)
		}
	}
	t.Fatal("containerd has no NRI")
	return nil
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
