package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSections reads files as containerd 1.7.30 was seen to, and as containerd 2 does.
func TestSections(t *testing.T) {
	const section = "[plugins.'io.containerd.nri.v1.nri']\n"
	const closed = section + "socket_path = '/run/p/nri.sock'\nplugin_path = '/empty'\n"
	for name, c := range map[string]struct {
		version, first, second string
		build                  build
		socket, plugins, place string
		why                    string // part of it
	}{
		"the later section takes the place": {
			"2", closed, section + "disable = false", build{known: true, major: "1"},
			wellKnownSocket, nriPluginDir, "/conf.d/2.toml", ""},
		"an empty one too": {
			"2", closed, section, build{known: true, major: "1"},
			wellKnownSocket, nriPluginDir, "/conf.d/2.toml", ""},
		"other sections do not": {
			"2", closed, "[plugins.'io.containerd.grpc.v1.cri']\nenable_cdi = true", build{known: true, major: "1"},
			"/run/p/nri.sock", "/empty", "/conf.d/1.toml", ""},
		"there is none": {
			"2", "", "", build{known: true, major: "1"},
			wellKnownSocket, nriPluginDir, "/config.toml", ""},
		"containerd 2 merges": {
			"2", closed, section + "disable = false", build{known: true},
			"/run/p/nri.sock", "/empty", "/conf.d/1.toml", ""},
		"whoever reads version 3 is containerd 2": {
			"3", closed, section + "disable = false", build{},
			"/run/p/nri.sock", "/empty", "/conf.d/1.toml", ""},
		"which it is cannot be told": {
			"2", closed, section + "disable = false", build{seen: "no executable"},
			"/run/p/nri.sock", "/empty", "/conf.d/1.toml", "which it is cannot be told (no executable)"},
		"and does not matter": {
			"2", closed, closed, build{},
			"/run/p/nri.sock", "/empty", "/conf.d/2.toml", ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for file, text := range map[string]string{
				"config.toml": "imports = ['/conf.d/*.toml']\n", "conf.d/1.toml": c.first, "conf.d/2.toml": c.second,
			} {
				file = filepath.Join(root, file)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte("version = "+c.version+"\n"+text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			r := &runtime{dialect: containerd(), build: c.build}
			r.configuration, r.err = loadContainerd(host{root}, "/config.toml", nil)
			if r.err != nil {
				t.Fatal(r.err)
			}
			why := r.settle()
			if c.why == "" && why != "" || !strings.Contains(why, c.why) {
				t.Errorf("why %q, want %q", why, c.why)
			}
			socket, _ := r.path(socketPath)
			plugins, _ := r.path(pluginDir)
			place := r.place([]assignment{{socketPath, ""}})
			if socket != c.socket || plugins != c.plugins || place != c.place {
				t.Errorf("socket %s, plugins in %s, mended in %s; want %s, %s, %s", socket, plugins, place, c.socket, c.plugins, c.place)
			}
		})
	}
}
