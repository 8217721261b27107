// Package tests holds what needs more than one package: the guard in a daemon,
// with real plugin processes, the library's policies and an OCI spec that comes
// out.
package tests

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	rspec "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
	"github.com/nri-guard/nri-guard/engine/nri/oci"
	"github.com/nri-guard/nri-guard/engine/policy"
)

// TestEmbedded has plugin processes adjust a container, and looks at the spec or
// the error that comes of it.
func TestEmbedded(t *testing.T) {
	for name, c := range map[string]struct {
		config  string
		plugins []plugin
		env     string   // the environment that comes out
		mounts  string   // the destinations that come out
		denied  []string // what the error says
	}{
		"accepted": {
			plugins: []plugin{{Name: "env", Index: "10", Adjust: json.RawMessage(`{"env": [{"key": "GREETING", "value": "hello"}], "mounts": [
				{"destination": "/models", "type": "bind", "source": "/srv/models", "options": ["rbind", "ro"]}]}`)}},
			env: "PATH=/bin GREETING=hello", mounts: "/models",
		},
		"rejected": {
			plugins: []plugin{{Name: "greedy", Index: "10", Adjust: json.RawMessage(`{"env": [{"key": "LD_PRELOAD", "value": "/tmp/evil.so"}],
				"mounts": [{"destination": "/x", "type": "tmpfs", "source": "/var/run/docker.sock", "options": ["rbind"]}],
				"hooks": {"poststop": [{"path": "/bin/sh"}]}}`)}},
			denied: []string{"environment: ", "env LD_PRELOAD", "host_paths: ", "mount /x", "hooks: ", "plugin 10-greedy"},
		},
		"stripped": {
			config: "policy: {enforcement: {writable_mounts: strip}}",
			plugins: []plugin{{Name: "scratch", Index: "10", Adjust: json.RawMessage(`{"env": [{"key": "A", "value": "1"}], "mounts": [
				{"destination": "/scratch", "type": "bind", "source": "/srv/scratch", "options": ["rbind", "rw"]},
				{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}]}`)}},
			env: "PATH=/bin A=1", mounts: "/tmp",
		},
		"granted to one": {
			config: "plugins: [{name: trusted, namespaces: [shop], grants: [{field: mount, sources: [/srv/scratch]}]}]",
			plugins: []plugin{{Name: "trusted", Index: "10", Adjust: json.RawMessage(`{"mounts": [
				{"destination": "/scratch", "type": "bind", "source": "/srv/scratch/a", "options": ["rw"]}]}`)}},
			env: "PATH=/bin", mounts: "/scratch",
		},
		"and to nobody else": {
			config: "plugins: [{name: trusted, grants: [{field: mount, sources: [/srv/scratch]}]}]",
			plugins: []plugin{
				{Name: "trusted", Index: "10", Adjust: json.RawMessage(`{"mounts": [{"destination": "/a", "type": "bind", "source": "/srv/scratch"}]}`)},
				{Name: "other", Index: "20", Adjust: json.RawMessage(`{"mounts": [{"destination": "/b", "type": "bind", "source": "/srv/scratch"}]}`)},
			},
			denied: []string{"writable_mounts: ", "plugin 20-other, mount /b"},
		},
		"malformed in every profile": {
			config:  "policy: {profile: {enforce: privileged}}",
			plugins: []plugin{{Name: "odd", Index: "10", Adjust: json.RawMessage(`{"env": [{"key": "A=B", "value": "1"}]}`)}},
			denied:  []string{`malformed request: the name of a variable, "A" and more, holds an equals sign`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := startDaemon(t, c.config)
			for _, p := range c.plugins {
				d.connect(p)
			}
			spec, err := d.create()
			if len(c.denied) > 0 {
				for _, want := range c.denied {
					if err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("the error does not say %q: %v", want, err)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(spec.Process.Env, " "); got != c.env {
				t.Errorf("environment %s, want %s", got, c.env)
			}
			var mounts []string
			for _, m := range spec.Mounts {
				mounts = append(mounts, m.Destination)
			}
			if got := strings.Join(mounts, " "); got != c.mounts {
				t.Errorf("mounts %s, want %s", got, c.mounts)
			}
		})
	}
}

// daemon is the least that has containers.
type daemon struct {
	t      *testing.T
	nri    *nri.Integration
	socket string
}

func startDaemon(t *testing.T, config string) *daemon {
	t.Helper()
	var cfg policy.Config
	if _, err := policy.Decode("guard.yaml", []byte(config), &cfg); err != nil {
		t.Fatal(err)
	}
	set, err := policy.Load(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	rules := set.Rules()
	rules.Timeout = 10 * time.Second // the machine may be busy; what is tested is not the time
	dir, err := os.MkdirTemp("", "nri")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d := &daemon{t: t, socket: filepath.Join(dir, "nri.sock")}
	d.nri, err = nri.New(t.Context(), nri.Config{
		Enable: true, Name: "test", SocketPath: d.socket, HostRoot: dir,
		PluginPath: filepath.Join(dir, "plugins"), PluginConfigPath: filepath.Join(dir, "conf.d"),
		Engine: engine.New(rules),
		Sync:   func(context.Context) ([]*api.PodSandbox, []*api.Container, error) { return nil, nil, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.nri.Shutdown(context.Background()) })
	return d
}

// connect starts a plugin process and waits until it is connected.
func (d *daemon) connect(p plugin) {
	d.t.Helper()
	p.Socket = d.socket
	spec, err := json.Marshal(p)
	if err != nil {
		d.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asPlugin+"="+string(spec))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	name := p.Index + "-" + p.Name
	for range 500 {
		if slices.Contains(d.nri.Info().Plugins, name) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	d.t.Fatalf("plugin %s did not connect", name)
}

func (d *daemon) create() (*rspec.Spec, error) {
	ctx, cancel := context.WithTimeout(d.t.Context(), 30*time.Second)
	defer cancel()
	pod := &api.PodSandbox{Id: "p1", Name: "web-0", Namespace: "shop"}
	container := &api.Container{Id: "c1", PodSandboxId: "p1", Name: "web", Env: []string{"PATH=/bin"}}
	adjust, release, err := d.nri.CreateContainer(ctx, pod, container)
	if err != nil {
		return nil, err
	}
	defer release()
	spec := &rspec.Spec{Process: &rspec.Process{Env: container.Env}}
	return spec, oci.Apply(spec, adjust)
}
