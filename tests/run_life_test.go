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
