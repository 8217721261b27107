package proxy_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/proxy"
)

func digest(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestWhoMayRegister(t *testing.T) {
	exe, sum, uid, nobody := self(t), digest(t, self(t)), int64(os.Getuid()), int64(65534)
	for _, tt := range []struct {
		name     string
		identity engine.IdentityMatch
		refused  string
	}{
		{name: "the executable", identity: engine.IdentityMatch{Exe: exe}},
		{name: "the digest", identity: engine.IdentityMatch{SHA256: sum}},
		{name: "the user", identity: engine.IdentityMatch{UID: &uid}},
		{name: "all of them", identity: engine.IdentityMatch{Exe: exe, SHA256: sum, UID: &uid}},
		{name: "another executable", identity: engine.IdentityMatch{Exe: "/opt/trusted"}, refused: ` may not register as "trusted": its executable is not /opt/trusted (plugins[].identity.exe); whoever may is to be named there`},
		{name: "another digest", identity: engine.IdentityMatch{Exe: exe, SHA256: strings.Repeat("0", 64)}, refused: `"trusted": its digest is not ` + strings.Repeat("0", 64) + ` (plugins[].identity.sha256); `},
		{name: "another user", identity: engine.IdentityMatch{UID: &nobody}, refused: `user ` + fmt.Sprint(uid) + `) may not register as "trusted": its user is not 65534 (plugins[].identity.uid); `},
		{name: "everything else", identity: engine.IdentityMatch{Exe: "/opt/trusted", SHA256: strings.Repeat("0", 64), UID: &nobody},
			refused: `"trusted": its executable is not /opt/trusted (plugins[].identity.exe), its digest is not ` + strings.Repeat("0", 64) +
				` (plugins[].identity.sha256), its user is not 65534 (plugins[].identity.uid); `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil, func(c *proxy.Config) {
				c.Plugins = []proxy.Plugin{{Name: "trusted", Identity: &tt.identity}}
			})
			p := dialRaw(t, r.socket)
			got := p.ask("RegisterPlugin", &api.RegisterPluginRequest{PluginName: "trusted", PluginIdx: "10"})
			made := r.decisions.of(engine.RegisterPlugin)
			if len(made) != 1 || made[0].decision.Allowed != (tt.refused == "") {
				t.Fatalf("decisions: %+v", made)
			}
			if p := made[0].review.Plugin; p.Name != "trusted" || p.Index != "10" || p.Identity.Exe != exe || p.Identity.PID != int64(os.Getpid()) {
				t.Errorf("the decision is about %+v (%+v)", p, p.Identity)
			}
			if tt.refused == "" {
				if got != "" {
					t.Errorf("refused: %s", got)
				}
				return
			}
			if !strings.Contains(got, tt.refused) {
				t.Errorf("answer %q does not say %q", got, tt.refused)
			}
			if !strings.HasPrefix(got, "nri-guard denied RegisterPlugin: process ") {
				t.Errorf("answer %q does not read like a refusal", got)
			}
			p.closed()
			eventually(t, "the refusal is logged", func() bool {
				return len(r.log.lines("level=warning", "registration refused: nri-guard denied RegisterPlugin: process ")) > 0
			})
			// Others are not concerned.
			connect(t, r.socket, "10", "other", setting("GOOD", "1"))
			r.mustServe(t, "c")
		})
	}
}

// A digest says nothing of what an interpreter runs. Its user is another matter.
func TestInterpretersAreNobody(t *testing.T) {
	python, uid := another(t, filepath.Join(shortDir(t), "python3.12")), int64(os.Getuid())
	for _, tt := range []struct {
		identity engine.IdentityMatch
		want     string
	}{
		{engine.IdentityMatch{SHA256: digest(t, python)}, "/python3.12 runs what it is told: demand a program, or the user alone"},
		{engine.IdentityMatch{Exe: python, UID: &uid}, "/python3.12 runs what it is told: demand a program, or the user alone"},
		{engine.IdentityMatch{UID: &uid}, "registered"},
	} {
		r := newRig(t, nil, func(c *proxy.Config) {
			c.Plugins = []proxy.Plugin{{Name: "script", Identity: &tt.identity}}
		})
		if got := spawn(t, python, "dialer", r.socket, "script"); !strings.HasSuffix(got, tt.want) {
			t.Errorf("it is told %q, want %q", got, tt.want)
		}
	}
}

func TestNamesNobodyMayHave(t *testing.T) {
	r := newRig(t, nil, func(c *proxy.Config) { c.Reserved = []string{"nri-guard"} })
	for _, tt := range []struct{ index, name, want string }{
		{"10", "nri-guard", `the name "nri-guard" is reserved`},
		{"00", "default-validator", `the name "default-validator" is reserved`},
		{"10", "", "name is empty"},
		{"10", "a,b", `invalid character ','`},
		{"10", "a\nb", `invalid character '\n'`},
		{"1", "a", `invalid plugin index "1"`},
		{"", "a", `invalid plugin index ""`},
	} {
		p := dialRaw(t, r.socket)
		if got := p.ask("RegisterPlugin", &api.RegisterPluginRequest{PluginName: tt.name, PluginIdx: tt.index}); !strings.Contains(got, tt.want) {
			t.Errorf("%s-%s: answer %q does not say %q", tt.index, tt.name, got, tt.want)
		}
		_ = p.conn.Close()
	}
	if got := r.proxy.Status().Plugins; len(got) != 0 {
		t.Errorf("registered: %v", got)
	}
}

// The runtime hears nothing of plugins that are refused.
func TestPoliciesDecideRegistrations(t *testing.T) {
	r := newRig(t, func(r *engine.Review) []engine.Violation {
		if r.Operation == engine.RegisterPlugin && r.Plugin.Name == "unwanted" {
			return []engine.Violation{{Policy: "guest_list", Message: "is not on it"}}
		}
		return nil
	})
	_, err := tryConnect(t, r.socket, "10", "unwanted", setting("A", "1"))
	if want := "nri-guard denied RegisterPlugin: guest_list: is not on it"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v does not say %q", err, want)
	}
	rpl, err := r.runtime.create("c")
	if err != nil || len(rpl.GetAdjust().GetEnv()) != 0 {
		t.Errorf("created %v, error %v", rpl, err)
	}
}

// Without a demand of the configuration, a name is for the executable that has it
// as long as it is connected.
func TestNamesAreTaken(t *testing.T) {
	r := newRig(t, nil)
	impostor := another(t, filepath.Join(shortDir(t), "impostor"))
	if got := spawn(t, self(t), "dialer", r.socket, "taken"); got != "registered" {
		t.Fatal(got)
	}
	if got := spawn(t, impostor, "dialer", r.socket, "taken"); !strings.Contains(got, `"taken" is connected already, as process`) {
		t.Errorf("the impostor is told %q", got)
	}
	if got := spawn(t, self(t), "dialer", r.socket, "taken"); got != "registered" {
		t.Errorf("the successor is told %q", got)
	}
	python := another(t, filepath.Join(shortDir(t), "python3.12"))
	if got := spawn(t, python, "dialer", r.socket, "script"); got != "registered" {
		t.Fatal(got)
	}
	if got := spawn(t, python, "dialer", r.socket, "script"); !strings.Contains(got, `"script" is connected already, as process`) {
		t.Errorf("another script of the same interpreter is told %q", got)
	}
	if got := spawn(t, impostor, "dialer", r.socket, "free"); got != "registered" {
		t.Errorf("under another name it is told %q", got)
	}
}

func TestProcessThatBecomesAnother(t *testing.T) {
	trusted, other := self(t), another(t, filepath.Join(shortDir(t), "other"))
	for name, tt := range map[string]struct{ allowed, first, second string }{
		"the trusted one hands over": {trusted, trusted, other},
		"the trusted one takes over": {trusted, other, trusted},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil, func(c *proxy.Config) {
				c.Plugins = []proxy.Plugin{{Name: "trusted", Identity: &engine.IdentityMatch{Exe: tt.allowed}}}
			})
			got := spawn(t, tt.first, "turncoat", r.socket, tt.second)
			// The second is what comes if the proxy was late to look.
			if !strings.Contains(got, "the process runs another executable") && !strings.Contains(got, "may not register as") {
				t.Errorf("it is told %q", got)
			}
		})
	}
}

// A connection that is given away is worth what the giver's life is: who connected
// is asked after when the plugin registers and at each decision.
func TestConnectionGivenAway(t *testing.T) {
	end := func(cmd *exec.Cmd) {
		_ = cmd.Process.Kill()
		_, _ = cmd.Process.Wait()
	}
	r := newRig(t, nil, func(c *proxy.Config) {
		c.Plugins = []proxy.Plugin{{Name: "trusted", Identity: &engine.IdentityMatch{Exe: self(t)}}}
	})
	p, lender := borrow(t, r.socket)
	// The proxy has looked when it has answered.
	p.ask("Conquer", &api.Empty{})
	end(lender)
	if got := p.ask("RegisterPlugin", &api.RegisterPluginRequest{PluginName: "trusted", PluginIdx: "10"}); !strings.Contains(got, "the process has exited") {
		t.Errorf("answer %q", got)
	}
	_ = p.conn.Close()

	p, lender = borrow(t, r.socket)
	p.join("10", "trusted")
	create := func() error {
		done := make(chan error, 1)
		go func() {
			_, err := r.runtime.create("c")
			done <- err
		}()
		p.send(answer(t, p.called("CreateContainer"), &api.CreateContainerResponse{}))
		return <-done
	}
	if err := create(); err != nil {
		t.Fatal(err)
	}
	end(lender)
	if err := create(); err == nil || !strings.Contains(err.Error(), "the plugin is not who registered any more") {
		t.Errorf("error %v", err)
	}
}

func TestConfigurationOfConnectedPlugins(t *testing.T) {
	r := newRig(t, nil)
	p := connect(t, r.socket, "10", "plugin", setting("A", "1"))
	other := connect(t, r.socket, "20", "other", setting("GOOD", "1"))
	set := func(m engine.IdentityMatch) {
		t.Helper()
		if err := r.proxy.SetPlugins([]proxy.Plugin{{Name: "plugin", Identity: &m}}); err != nil {
			t.Fatal(err)
		}
	}
	set(engine.IdentityMatch{Exe: self(t)})
	if _, err := r.runtime.create("c"); err != nil {
		t.Fatal(err)
	}
	set(engine.IdentityMatch{Exe: "/opt/plugin"})
	p.gone(t)
	eventually(t, "it is logged", func() bool {
		return len(r.log.lines("plugin=10-plugin", "the configuration has changed: process", "its executable is not /opt/plugin (plugins[].identity.exe)")) == 1
	})
	r.mustServe(t, "d")
	if err := r.proxy.SetPlugins([]proxy.Plugin{{Name: "other", Events: []string{"Nonsense"}}}); err == nil {
		t.Error("nonsense is taken")
	}
	other.Stop()
}

func TestRegistrationWaitsForTheObserver(t *testing.T) {
	var ready atomic.Bool
	r := newRig(t, nil, func(c *proxy.Config) { c.Ready = ready.Load })
	_, err := tryConnect(t, r.socket, "10", "early", setting("A", "1"))
	if want := "the guard does not know yet what containers there are"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v does not say %q", err, want)
	}
	p := dialRaw(t, r.socket)
	m := p.request("RegisterPlugin", &api.RegisterPluginRequest{PluginName: "waiting", PluginIdx: "10"})
	p.send(m)
	ready.Store(true)
	if got := errorOf(t, p.answered(m)); got != "" {
		t.Errorf("refused: %s", got)
	}
}

func TestRuntimeAway(t *testing.T) {
	r := newRig(t, nil)
	p := connect(t, r.socket, "10", "plugin", setting("GOOD", "1"))
	r.runtime.crash()
	p.gone(t)
	_, err := tryConnect(t, r.socket, "10", "plugin", setting("GOOD", "1"))
	if want := "the runtime does not answer on " + r.runtime.socket; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v does not say %q", err, want)
	}
	if got := r.proxy.Status().Problem; !strings.Contains(got, "the runtime does not answer") {
		t.Errorf("problem %q", got)
	}
	r.runtime.start(t)
	eventually(t, "the runtime is found to be back", func() bool { return r.proxy.Status().Problem == "" })
	connect(t, r.socket, "10", "plugin", setting("GOOD", "1"))
	r.mustServe(t, "c")
}
