package tests

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What plugins of these tests ask for.
const (
	greeting = `{"env": [{"key": "GREETING", "value": "hello"}]}`
	preload  = `{"env": [{"key": "LD_PRELOAD", "value": "/tmp/evil.so"}]}`
	scratch  = `{"env": [{"key": "A", "value": "1"}], "mounts": [{"destination": "/scratch", "type": "bind", "source": "/srv/scratch", "options": ["rw"]}]}`
)

// TestRun has the guard as a process of its own beside NRI's own adaptation, with
// real plugin processes, and looks at what comes of a creation.
func TestRun(t *testing.T) {
	const strip = "policy: {timeout: 20s, enforcement: {writable_mounts: strip}}\n"
	granting := fmt.Sprintf(`plugins: [{name: through, identity: {uid: %d}, grants: [{field: env, keys: [LD_PRELOAD]}]}]
`, os.Getuid())
	for name, c := range map[string]struct {
		config  string
		through []string // what plugins ask for that come to the guard's socket
		past    []string // and of those that go to the runtime's own
		env     string   // what comes out: names of variables
		mounts  string   // and destinations
		denied  []string // what the error says
	}{
		"validator, accepted": {config: asValidator, past: []string{greeting}, env: "GREETING"},
		"validator, rejected": {config: asValidator, past: []string{preload},
			denied: []string{`validator "99-nri-guard" rejected container adjustment`, "nri-guard denied CreateContainer", "environment: ", "plugin 10-past, env LD_PRELOAD"}},
		"validator, strip is denied": {config: asValidator + strip, past: []string{scratch},
			denied: []string{"writable_mounts: ", "plugin 10-past, mount /scratch"}},
		"proxy, accepted": {config: asProxy, through: []string{greeting}, env: "GREETING"},
		"proxy, rejected": {config: asProxy, through: []string{preload},
			denied: []string{"nri-guard denied CreateContainer", "environment: ", "plugin 10-through, env LD_PRELOAD"}},
		"proxy, stripped": {config: asProxy + strip, through: []string{scratch}, env: "A"},
		"proxy, granted":  {config: asProxy + granting, through: []string{preload}, env: "LD_PRELOAD"},
		"both, granted":   {config: asBoth + granting, through: []string{preload, greeting}, env: "GREETING LD_PRELOAD"},
		"both, granted to who came through": {config: asBoth + granting, through: []string{greeting}, past: []string{preload},
			denied: []string{"plugin 10-past did not come through the proxy", "explains: add env LD_PRELOAD", "plugin 10-past, env LD_PRELOAD"}},
		"both, accepted": {config: asBoth, through: []string{greeting, `{"env": [{"key": "B"}]}`}, env: "B GREETING"},
		"both, stripped": {config: asBoth + strip, through: []string{scratch}, env: "A"},
		"both, one goes past": {config: asBoth, through: []string{greeting}, past: []string{`{"env": [{"key": "B"}]}`},
			denied: []string{`validator "99-nri-guard" rejected container adjustment`, "10-past"}},
		"both, one goes past and does nothing": {config: asBoth, past: []string{`{}`},
			denied: []string{`validator "99-nri-guard" rejected container adjustment`, "10-past"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.configure(c.config)
			runtime := n.serve()
			g := n.start()
			g.becomes("ready")
			for i, adjust := range c.through {
				n.plug(n.plugins, []string{"10", "20"}[i], "through", adjust)
			}
			g.with(len(c.through))
			for _, adjust := range c.past {
				n.plug(n.runtime, "10", "past", adjust)
			}
			g.eventually("the runtime has all plugins", func() bool {
				return runtime.plugins() == len(c.through)+len(c.past)+strings.Count(c.config, "validator")+1
			})
			adjust, err := runtime.create("c1")
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
			var env, mounts []string
			for _, e := range adjust.GetEnv() {
				env = append(env, e.Key)
			}
			for _, m := range adjust.GetMounts() {
				mounts = append(mounts, m.Destination)
			}
			if got := strings.Join(env, " "); got != c.env && got != reversed(c.env) {
				t.Errorf("environment %s, want %s", got, c.env)
			}
			if got := strings.Join(mounts, " "); got != c.mounts {
				t.Errorf("mounts %s, want %s", got, c.mounts)
			}
		})
	}
}

func reversed(words string) string {
	a, b, _ := strings.Cut(words, " ")
	return b + " " + a
}

// TestReload: what the files say is in force soon after they change, unless it cannot
// be used.
func TestReload(t *testing.T) {
	n := newNode(t)
	more := asValidator + "policy: {timeout: 20s, paths: [policies, map/own.rego]}\n"
	for _, err := range []error{
		os.MkdirAll(filepath.Join(n.dir, "map/..1"), 0o755),
		os.Symlink("..1", filepath.Join(n.dir, "map/..data")),
		os.Symlink("..data/own.rego", filepath.Join(n.dir, "map/own.rego")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	n.write("policies/never/p.rego", denies("never", "NEVER"))
	n.write("map/..1/own.rego", denies("mapped", "FIRST"))
	n.configure(more)
	runtime := n.serve()
	g := n.start()
	first := g.becomes("ready").Revision
	n.plug(n.runtime, "10", "env", greeting)
	g.eventually("the runtime has the plugin", func() bool { return runtime.plugins() == 3 })
	mustCreate := func(id string) {
		t.Helper()
		if _, err := runtime.create(id); err != nil {
			t.Error(err)
		}
	}
	mustDeny := func(id, want string) {
		t.Helper()
		if _, err := runtime.create(id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	changed := func(was string) string {
		t.Helper()
		var s status
		g.eventually("another revision is in force", func() bool { s = g.ready(); return s.Code == 200 && s.Revision != was && len(s.Warnings) == 0 })
		return s.Revision
	}
	mustCreate("1")

	n.write("policies/greeting/p.rego", denies("greeting", "GREETING"))
	second := changed(first)
	mustDeny("2", "greeting: no GREETING")

	n.write("policies/greeting/p.rego", "package nri.policies.greeting\nnonsense")
	s := g.becomes("degraded")
	if s.Revision != second || s.Code != 200 || !strings.Contains(strings.Join(s.Warnings, "\n"), "policies/greeting/p.rego:2: ") {
		t.Errorf("after a policy that cannot be read: %+v", s)
	}
	mustDeny("3", "greeting: no GREETING")

	g.signal(syscall.SIGHUP) // and it is no better then
	g.eventually("the reload is logged", func() bool { return len(g.logged("The reload failed; revision "+second+" stays in force")) == 2 })
	mustDeny("4", "greeting: no GREETING")

	n.write("policies/greeting/p.rego", denies("greeting", "OTHER"))
	third := changed(second)
	mustCreate("5")

	if err := os.Mkdir(filepath.Join(n.dir, "map/..2"), 0o755); err != nil {
		t.Fatal(err)
	}
	n.write("map/..2/own.rego", denies("mapped", "GREETING"))
	for _, err := range []error{
		os.Symlink("..2", filepath.Join(n.dir, "map/..tmp")),
		os.Rename(filepath.Join(n.dir, "map/..tmp"), filepath.Join(n.dir, "map/..data")),
		os.RemoveAll(filepath.Join(n.dir, "map/..1")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	fourth := changed(third)
	mustDeny("6", "mapped: no GREETING")

	n.configure(asValidator + "policy: {timeout: 20s, profile: {enforce: privileged}}\n")
	fifth := changed(fourth)
	mustCreate("7")

	n.configure(asValidator + "policy: {timeout: 20s}\nvalidator: {enabled: true}\n")
	if s := g.becomes("degraded"); s.Revision != fifth || !strings.Contains(s.Warnings[0], `key "validator" stands here twice`) {
		t.Errorf("after a configuration that cannot be read: %+v", s)
	}
	n.configure(asBoth + "audit: {path: DIR/log}\npolicy: {timeout: 20s}\n")
	want := "config.yaml:5: proxy: cannot change without a restart"
	g.eventually("it says what takes a restart", func() bool {
		w := strings.Join(g.ready().Warnings, "\n")
		return strings.Contains(w, want) && strings.Contains(w, "config.yaml:6: audit: cannot change without a restart")
	})
	if err := os.Chmod(n.config, 0o666); err != nil {
		t.Fatal(err)
	}
	g.eventually("it says who may write", func() bool {
		return strings.Contains(strings.Join(g.ready().Warnings, "\n"), "config.yaml has mode -rw-rw-rw-; run chmod go-w on it")
	})
	n.configure(asValidator + "policy: {timeout: 20s, profile: {enforce: restricted}}\n")
	changed(fifth)
	mustDeny("8", "ungranted_changes: ")
}

// denies is a policy against a variable.
func denies(policy, variable string) string {
	return "package nri.policies." + policy + "\n\nimport rego.v1\n\ndeny contains \"no " + variable + "\" if input.changes.env." + variable + "\n"
}

// TestNobodyReadsTheLog goes on when whoever read standard error is gone.
func TestNobodyReadsTheLog(t *testing.T) {
	n := newNode(t)
	n.configure(asProxy)
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(file, "run", "--config", n.config, "--log-level", "debug")
	cmd.Stderr = writer
	if err := errors.Join(reader.Close(), cmd.Start(), writer.Close()); err != nil {
		t.Fatal(err)
	}
	g := &guard{node: n, cmd: cmd, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(g.ended)
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	g.eventually("it listens", func() bool {
		_, err := os.Stat(n.plugins)
		return err == nil
	})
	g.signal(syscall.SIGTERM)
	if code := g.exits(); code != 0 {
		t.Errorf("exit code %d: %v", code, cmd.ProcessState)
	}
}
