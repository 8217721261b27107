package tests

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// TestReadiness: the guard waits for what is not there, and says so.
func TestReadiness(t *testing.T) {
	n := newNode(t)
	n.configure(asBoth)
	g := n.start()
	s := g.becomes("not ready")
	g.eventually("it says what it waits for", func() bool {
		p := strings.Join(g.ready().Problems, "\n")
		return strings.Contains(p, "observer on "+n.runtime+": ") && strings.Contains(p, "validator on "+n.runtime+": ") && strings.Contains(p, "no such file")
	})
	if body, code := g.get("/readyz"); code != 503 || !strings.HasPrefix(string(body), "not ready\nproblem: ") {
		t.Errorf("code %d: %s", code, body)
	}
	if body, code := g.get("/healthz"); code != 200 || !strings.HasPrefix(string(body), "healthy\n") {
		t.Errorf("waiting is not healthy: code %d: %s", code, body)
	}
	if s.Code != 503 || s.Revision == "" {
		t.Errorf("%+v", s)
	}
	g.eventually("it is logged", func() bool { return len(g.logged("Not ready: ")) > 0 })

	runtime := n.serve()
	g.becomes("ready")
	g.eventually("it is logged", func() bool { return len(g.logged("Ready after ")) == 1 })

	said := len(g.logged("Not ready: "))
	runtime.kill()
	g.becomes("not ready")
	g.eventually("it is logged", func() bool { return len(g.logged("Not ready: ")) > said })
	n.serve()
	g.becomes("ready")
	g.eventually("it is logged", func() bool { return len(g.logged("Ready again")) == 1 })

	if err := os.Remove(n.plugins); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", n.plugins)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // it is only a test's
	s = g.becomes("not ready")
	if want := n.plugins + " is not the proxy's any more"; len(s.Problems) != 1 || !strings.Contains(s.Problems[0], want) {
		t.Errorf("problems are %q, want: %s", s.Problems, want)
	}
}

// TestNotify is the service manager's end of the guard's life.
func TestNotify(t *testing.T) {
	n := newNode(t)
	n.configure(asProxy)
	manager := n.listenNotify()
	next := manager.next
	g := n.start("NOTIFY_SOCKET="+manager.path, "WATCHDOG_USEC=2000000")
	next(`^WATCHDOG=1$`) // to wait for the runtime is no illness
	next(`(?s)^STATUS=not ready; observer on .*\nEXTEND_TIMEOUT_USEC=30000000$`)
	n.serve()
	next(`^READY=1\nSTATUS=ready$`)
	next(`^WATCHDOG=1$`)
	g.signal(syscall.SIGHUP)
	next(`^RELOADING=1\nMONOTONIC_USEC=\d+$`)
	next(`^READY=1\nSTATUS=ready$`)
	n.configure("nonsense: 1\n")
	next(`^RELOADING=1\nMONOTONIC_USEC=\d+$`)
	next(`^READY=1\nSTATUS=degraded; the last reload failed, .*unknown key "nonsense"`)
	g.signal(syscall.SIGTERM)
	next(`^STOPPING=1\n`)
	if code := g.exits(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestStop tells the guard to end while containers are created without a pause. What
// a plugin asks for that is connected through the proxy never comes through unjudged,
// not even then.
func TestStop(t *testing.T) {
	adaptation.SetPluginRequestTimeout(2 * time.Second) // NRI's default; the guard waits that long for a pause
	defer adaptation.SetPluginRequestTimeout(requestTimeout)
	for _, config := range []string{asValidator, asProxy, asBoth} {
		t.Run(strings.Fields(config)[0]+fmt.Sprint(len(config)), func(t *testing.T) {
			n := newNode(t)
			n.configure(config + "audit: {path: DIR/decisions}\n")
			runtime := n.serve()
			g := n.start()
			g.becomes("ready")
			socket := n.runtime
			if strings.Contains(config, "proxy") {
				socket = n.plugins
			}
			before := runtime.plugins()
			n.plug(socket, "10", "evil", preload)
			g.eventually("the runtime has the plugin", func() bool { return runtime.plugins() == before+1 })

			var denied, passed atomic.Int64
			stop := make(chan struct{})
			var creators sync.WaitGroup
			for i := range 8 {
				creators.Go(func() {
					for j := 0; ; j++ {
						select {
						case <-stop:
							return
						default:
						}
						adjust, err := runtime.create(fmt.Sprintf("c%d-%d", i, j))
						switch {
						case err != nil:
							denied.Add(1)
						case len(adjust.GetEnv()) > 0:
							passed.Add(1)
						}
					}
				})
			}
			g.eventually("creations are under way", func() bool { return denied.Load() > 20 })
			if n := passed.Load(); n > 0 {
				t.Errorf("%d creations were let through", n)
			}
			g.signal(syscall.SIGTERM)
			code := g.exits()
			close(stop)
			creators.Wait()
			if code != 0 {
				t.Errorf("exit code %d", code)
			}
			if n := passed.Load(); n > 0 && config != asValidator {
				t.Errorf("%d creations were let through", n)
			}
			lines := strings.Count(read(t, filepath.Join(n.dir, "decisions")), "\n")
			if lines < 20 {
				t.Errorf("%d decisions in the log", lines)
			}
			if _, err := os.Lstat(n.plugins); err == nil {
				t.Error("the guard's socket is left behind")
			}
		})
	}
}

// running says whether the process has not ended.
func (g *guard) running() bool {
	select {
	case <-g.ended:
		return false
	default:
		return g.cmd.Process.Signal(syscall.Signal(0)) == nil
	}
}

// TestSecondSignal: one that does not want to wait need not.
func TestSecondSignal(t *testing.T) {
	n := newNode(t)
	n.configure(asProxy)
	runtime := n.serve()
	g := n.start()
	g.becomes("ready")
	slow := n.plug(n.plugins, "10", "slow", greeting)
	g.with(1)
	if err := slow.Process.Signal(syscall.SIGSTOP); err != nil { // what it is asked is under way for ever
		t.Fatal(err)
	}
	go func() { _, _ = runtime.create("c") }() // it comes to nothing
	time.Sleep(100 * time.Millisecond)         // if it has not begun by then, the guard may end at once: no harm
	g.signal(syscall.SIGTERM)
	g.eventuallyOrEnded(func() bool { return len(g.logged("Stopping")) > 0 })
	_ = g.cmd.Process.Signal(syscall.SIGINT) // it may have ended
	start := time.Now()
	g.exits()
	if took := time.Since(start); took > 4*time.Second { // the proxy waits 5 s for what is under way
		t.Errorf("it took %s to end after the second signal", took)
	}
}

// eventuallyOrEnded waits for something, or for the end of the guard.
func (g *guard) eventuallyOrEnded(is func() bool) {
	g.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if is() || !g.running() {
			return
		}
	}
	g.t.Fatal("it never came to pass")
}

// TestMetrics reads what the guard counts, with Prometheus' own parser.
func TestMetrics(t *testing.T) {
	n := newNode(t)
	n.configure(asBoth + "policy: {timeout: 20s, enforcement: {writable_mounts: strip}}\nplugins: [{name: trusted, identity: {uid: 12345}}]\n")
	runtime := n.serve()
	g := n.start()
	g.becomes("ready")
	n.plug(n.plugins, "10", "scratch", scratch)
	g.eventually("the runtime has the plugin", func() bool { return runtime.plugins() == 3 })
	if _, err := runtime.create("c1"); err != nil {
		t.Fatal(err)
	}
	n.plug(n.plugins, "20", "evil", preload)
	g.eventually("the runtime has the plugin", func() bool { return runtime.plugins() == 4 })
	if _, err := runtime.create("c2"); err == nil {
		t.Fatal("LD_PRELOAD is let through")
	}
	n.plug(n.plugins, "30", "trusted", greeting) // who is not user 12345
	families := map[string]*dto.MetricFamily{}
	g.eventually("the registration is refused", func() bool {
		body, _ := g.get("/metrics")
		parser := expfmt.NewTextParser(model.UTF8Validation)
		var err error
		if families, err = parser.TextToMetricFamilies(strings.NewReader(string(body))); err != nil {
			t.Fatal(err)
		}
		return value(families, "decisions_total", "operation=RegisterPlugin outcome=fail plugin=trusted") >= 1
	})
	for metric, want := range map[string]float64{
		"decisions_total operation=CreateContainer outcome=strip plugin=scratch":   2,
		"decisions_total operation=CreateContainer outcome=deny plugin=evil":       1,
		"decisions_total operation=CreateContainer outcome=allow plugin=-":         1,
		"decisions_total operation=RegisterPlugin outcome=allow plugin=scratch":    1,
		"violations_total enforcement=deny plugin=evil policy=environment":         1,
		"violations_total enforcement=strip plugin=scratch policy=writable_mounts": 2,
		"connected_plugins plugin=scratch":                                         1,
		"runtime_connected connection=validator":                                   1,
		"runtime_connected connection=observer":                                    1,
		"ready ":                                                                   1,
		"config_last_reload_successful ":                                           1,
		"policy_revision_info revision=" + g.ready().Revision:                      1,
		"policies enforcement=strip":                                               1,
		"reloads_total result=success":                                             0,
	} {
		name, labels, _ := strings.Cut(metric, " ")
		if got := value(families, name, labels); got != want {
			t.Errorf("%s is %v, want %v", metric, got, want)
		}
	}
	if h := families["nri_guard_decision_duration_seconds"]; h == nil || h.GetType() != dto.MetricType_HISTOGRAM {
		t.Error("there is no histogram of durations")
	}
	if families["process_resident_memory_bytes"] == nil || families["go_goroutines"] == nil {
		t.Error("nothing about the process")
	}
	for name, family := range families {
		for _, m := range family.Metric {
			for _, l := range m.Label {
				if v := l.GetValue(); strings.Contains(v, "web") || strings.Contains(v, "shop") || v == "c1" {
					t.Errorf("%s has label %s=%s, which a pod's author chooses", name, l.GetName(), v)
				}
			}
		}
	}
}

// value returns the metric of the guard's with these labels; -1 where there is none.
func value(families map[string]*dto.MetricFamily, name, labels string) float64 {
	f := families["nri_guard_"+name]
	for _, m := range f.GetMetric() {
		var have []string
		for _, l := range m.Label {
			have = append(have, l.GetName()+"="+l.GetValue())
		}
		if strings.Join(have, " ") == labels {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return -1
}

// TestLog: every line is JSON, and says what has been decided.
func TestLog(t *testing.T) {
	n := newNode(t)
	n.configure(asValidator)
	runtime := n.serve()
	g := n.start()
	g.becomes("ready")
	n.plug(n.runtime, "10", "evil", preload)
	g.eventually("the runtime has the plugin", func() bool { return runtime.plugins() == 3 })
	if _, err := runtime.create("c1"); err == nil {
		t.Fatal("LD_PRELOAD is let through")
	}
	g.eventually("the denial is logged", func() bool { return len(g.logged("Denied: environment: ")) == 1 })
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, entry := range g.log {
		if entry["level"] == "broken" {
			t.Error(entry["msg"])
		}
		if m, _ := entry["msg"].(string); strings.HasPrefix(m, "Denied: ") {
			if strings.Contains(m, "evil.so") {
				t.Errorf("the value of a variable is in the log: %s", m)
			}
			for key, want := range map[string]string{"level": "warning", "operation": "CreateContainer", "namespace": "shop", "pod": "web", "container": "app"} {
				if entry[key] != want {
					t.Errorf("%s is %v, want %s", key, entry[key], want)
				}
			}
		}
	}
}

// TestTaken: what cannot be listened on ends the guard before it does anything else.
func TestTaken(t *testing.T) {
	n := newNode(t)
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close() //nolint:errcheck // it is only a test's
	n.write("config.yaml", "version: 1\nvalidator: {enabled: true}\nruntime: {socket: DIR/runtime/nri.sock}\nadmin: {address: '"+admin.Addr().String()+"'}\n")
	g := n.start()
	if code := g.exits(); code != 2 || len(g.logged("admin address: listen tcp "+admin.Addr().String()+": bind: address already in use")) != 1 {
		t.Errorf("exit code %d", code)
	}

	n.configure(asBoth)
	other, err := net.Listen("unix", n.plugins)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close() //nolint:errcheck // it is only a test's
	g = n.start()
	if code := g.exits(); code != 2 || len(g.logged("proxy: ")) == 0 {
		t.Errorf("exit code %d", code)
	}
	conn, err := net.Dial("unix", n.plugins)
	if err != nil {
		t.Fatalf("the socket of who was there first: %v", err)
	}
	_ = conn.Close()
}

// TestPlugins: the guard starts plugins itself, and a reload that trusts somebody else
// disconnects them.
func TestPlugins(t *testing.T) {
	n := newNode(t)
	n.write("conf.d/launched.conf", greeting)
	copyProgram(t, os.Args[0], filepath.Join(n.dir, "plugins/10-launched"))
	const launch = "proxy: {enabled: true, socket: DIR/guard/nri.sock, launch: {path: DIR/plugins, config: DIR/conf.d}}\n"
	trusting := func(uid int) string {
		return fmt.Sprintf("%splugins: [{name: launched, identity: {uid: %d}}, {name: other, events: [StopContainer]}]\n", launch, uid)
	}
	n.configure(trusting(os.Getuid()))
	runtime := n.serve()
	g := n.start()
	g.becomes("ready")
	g.eventually("the runtime has the plugin", func() bool { return runtime.plugins() == 2 })
	adjust, err := runtime.create("c1")
	if err != nil || len(adjust.GetEnv()) != 1 {
		t.Errorf("adjusted by %v, %v", adjust, err)
	}
	if got := g.ready().Plugins; len(got) != 1 || got[0] != "10-launched" {
		t.Errorf("plugins are %q", got)
	}
	n.configure(trusting(12345))
	g.eventually("the plugin is disconnected", func() bool { return len(g.ready().Plugins) == 0 })
	adjust, err = runtime.create("c2")
	if err != nil || len(adjust.GetEnv()) != 0 {
		t.Errorf("adjusted by %v, %v", adjust, err)
	}

	n.plug(n.plugins, "20", "other", greeting) // which subscribes to what it may not
	g.eventually("it is sent away", func() bool { return len(g.logged("Plugin disconnected by the guard")) == 2 })
	if got := g.ready().Plugins; len(got) != 0 {
		t.Errorf("plugins are %q", got)
	}
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}
