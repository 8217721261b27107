package session

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/internal/nritest"
)

// TestSession registers, is told of the runtime, serves, and ends.
func TestSession(t *testing.T) {
	nritest.NoLeaks(t)
	runtime := nritest.Start(t, nritest.Socket(t))
	var asked atomic.Int64
	var timeout atomic.Int64
	s := run(t, Config{Socket: runtime.Socket,
		Plugin:     validating{func(context.Context) error { asked.Add(1); return errors.New("no") }},
		Configured: func(req *api.ConfigureRequest) { timeout.Store(req.GetRequestTimeout()) },
	})
	s.connected()
	runtime.Plugins(t, 1)
	if got, want := s.Status().Runtime, (engine.Runtime{Name: "testd", Version: "1.2.3"}); got != want {
		t.Errorf("the runtime is %v", got)
	}
	if got := timeout.Load(); got != nritest.Patience.Milliseconds() {
		t.Errorf("it was configured with %d ms", got)
	}
	_, err := runtime.Create(t, "c")
	nritest.MustSay(t, err, `validator "50-tested" rejected`, "no")
	if asked.Load() != 1 {
		t.Errorf("it was asked %d times", asked.Load())
	}
	if lines := s.log.with("level=info", "connected to the runtime's NRI", "runtime=testd", "version=1.2.3", "plugin=50-tested",
		"socket="+runtime.Socket); len(lines) != 1 {
		t.Errorf("it was logged %d times", len(lines))
	}
	s.stop()
	nritest.Eventually(t, "it is not asked any more", func() bool { _, err := runtime.Create(t, "d"); return err == nil })
}

// TestSocketComesLater: it is waited for, and that is said once.
func TestSocketComesLater(t *testing.T) {
	nritest.NoLeaks(t)
	socket := nritest.Socket(t)
	s := run(t, Config{Socket: socket, Plugin: validating{}})
	s.problem("waiting for the runtime", "no such file")
	time.Sleep(500 * time.Millisecond) // a few attempts
	if n := len(s.log.with("level=warning", "not connected")); n != 1 {
		t.Errorf("it was said %d times", n)
	}
	nritest.Start(t, socket)
	s.connected()
}

// TestNobodyListens on a socket that was left behind.
func TestNobodyListens(t *testing.T) {
	nritest.NoLeaks(t)
	socket := nritest.Socket(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s := run(t, Config{Socket: socket, Plugin: validating{}})
	s.problem("waiting for the runtime", "connection refused")
	nritest.Start(t, socket)
	s.connected()
}

// TestRestart: the runtime's process ends and begins anew.
func TestRestart(t *testing.T) {
	nritest.NoLeaks(t)
	socket := nritest.Socket(t)
	runtime := nritest.Start(t, socket)
	s := run(t, Config{Socket: socket, Plugin: validating{func(context.Context) error { return errors.New("judged") }}})
	for range 3 {
		runtime.Plugins(t, 1)
		runtime.Kill()
		s.problem("waiting for the runtime")
		runtime = nritest.Start(t, socket)
		s.connected()
		runtime.Plugins(t, 1)
		_, err := runtime.Create(t, "c")
		nritest.MustSay(t, err, "judged")
	}
	if n := len(s.log.with("connected to the runtime's NRI", "level=info")); n != 4 {
		t.Errorf("it says so %d times", n)
	}
}

// TestLeftOpen: NRI is stopped and started within one process, which leaves
// connections open that nobody uses.
func TestLeftOpen(t *testing.T) {
	nritest.NoLeaks(t)
	socket := nritest.Socket(t)
	old := nritest.Start(t, socket)
	s := run(t, Config{Socket: socket, Plugin: validating{}})
	s.connected()
	old.Plugins(t, 1)
	old.Stop()
	nritest.Start(t, socket).Plugins(t, 1)
	s.connected()
	if len(s.log.with("level=warning", errReplaced.Error())) != 1 {
		t.Error("it does not say why")
	}
}

// TestTaken: another process takes the path. The runtime that is connected must
// not be left for it.
func TestTaken(t *testing.T) {
	nritest.NoLeaks(t)
	runtime := nritest.Start(t, nritest.Socket(t))
	s := run(t, Config{Socket: runtime.Socket, Plugin: validating{func(context.Context) error { return errors.New("judged") }}})
	s.connected()
	runtime.Plugins(t, 1)
	if err := os.Remove(runtime.Socket); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	other := exec.Command(exe)
	other.Env = append(os.Environ(), listenVar+"="+runtime.Socket)
	if _, err := other.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = other.Process.Kill()
		_ = other.Wait()
	})
	nritest.Eventually(t, "it is noticed", func() bool { return len(s.log.with("level=warning", "has taken the socket")) == 1 })
	_, err = runtime.Create(t, "c")
	nritest.MustSay(t, err, "judged")
}

// TestDropped: the connection is lost and nothing else.
func TestDropped(t *testing.T) {
	nritest.NoLeaks(t)
	runtime := nritest.Start(t, nritest.Socket(t))
	s := run(t, Config{Socket: runtime.Socket, Plugin: validating{}})
	for range 3 {
		runtime.Plugins(t, 1)
		s.connected()
		since := s.Status().Since
		runtime.Drop()
		nritest.Eventually(t, "it is connected again", func() bool { st := s.Status(); return st.Connected && st.Since.After(since) })
		if _, err := runtime.Create(t, "c"); err != nil { // NRI takes note of what is closed
			t.Fatal(err)
		}
	}
}

// TestHangsUp: a runtime that closes the connection at any point.
func TestHangsUp(t *testing.T) {
	configure := &api.ConfigureRequest{RuntimeName: "containerd", RuntimeVersion: "v2.2.0"}
	for name, c := range map[string]struct {
		serve   func(net.Conn)
		problem string
	}{
		"at once":                {func(net.Conn) {}, "the runtime did not take the plugin in"},
		"after garbage":          {func(c net.Conn) { _, _ = c.Write([]byte(strings.Repeat("\xff", 100))) }, "the runtime did not take the plugin in"},
		"in the middle":          {func(c net.Conn) { _, _ = c.Write([]byte{0, 0, 0, 1, 0, 0, 9, 9, 1}) }, "the runtime did not take the plugin in"},
		"after the registration": {func(c net.Conn) { nritest.Answer(c, nil, registered) }, "the runtime did not take the plugin in"},
		"instead of it":          {func(c net.Conn) { nritest.Answer(c, errors.New("no room"), refused) }, "the runtime did not register the plugin"},
		"after configuration":    {func(c net.Conn) { nritest.Answer(c, nil, configured(configure)) }, "refused the plugin after it was configured; the runtime's log says why"},
	} {
		t.Run(name, func(t *testing.T) {
			nritest.NoLeaks(t)
			socket := nritest.Socket(t)
			nritest.Listen(t, socket, c.serve)
			run(t, Config{Socket: socket, Plugin: validating{}}).problem(c.problem)
		})
	}
}

// registered waits until the plugin has; the answer may not reach it any more.
func registered(f *nritest.Fake) { <-f.Registered }

// refused waits until the plugin has taken note of it.
func refused(f *nritest.Fake) { <-f.Closed }

// configured configures the plugin, as NRI does before it looks at what it wants.
func configured(req *api.ConfigureRequest) func(*nritest.Fake) {
	return func(f *nritest.Fake) {
		<-f.Registered
		_, _ = f.Plugin.Configure(context.Background(), req)
	}
}

// TestTooOld: NRI before 0.10 knows no validation. It closes the connection after
// the plugin has been configured.
func TestTooOld(t *testing.T) {
	const advice = "it is too old to have containers validated by plugins, which takes containerd 2.2, CRI-O 1.34 or dockerd 29; " +
		"update it, or use the proxy"
	for name, c := range map[string]struct {
		req    *api.ConfigureRequest
		err    error
		plugin any
		want   string
	}{
		"containerd 2.0":            {req: &api.ConfigureRequest{RuntimeName: "containerd", RuntimeVersion: "v2.0.3"}, want: "(containerd v2.0.3) refused the plugin: " + advice},
		"unknown, says nothing":     {req: &api.ConfigureRequest{RuntimeName: "other", RuntimeVersion: "1"}, want: advice},
		"says so":                   {req: &api.ConfigureRequest{RuntimeName: "other", RuntimeVersion: "1", NRIVersion: "v0.9.0"}, want: advice},
		"says another":              {req: &api.ConfigureRequest{RuntimeName: "other", RuntimeVersion: "1", NRIVersion: "v0.12.5"}, want: "the runtime's log says why"},
		"a development version":     {req: &api.ConfigureRequest{RuntimeName: "other", RuntimeVersion: "1", NRIVersion: "devel"}, want: "the runtime's log says why"},
		"an error that says so":     {err: errors.New("invalid plugin events: 0x8000"), want: advice},
		"one that does not":         {err: errors.New("nothing doing"), want: "did not register the plugin"},
		"a plugin for other events": {req: &api.ConfigureRequest{RuntimeName: "containerd", RuntimeVersion: "v2.0.3"}, plugin: creating{}, want: "the runtime's log says why"},
	} {
		t.Run(name, func(t *testing.T) {
			nritest.NoLeaks(t)
			socket := nritest.Socket(t)
			then := refused
			if c.req != nil {
				then = configured(c.req)
			}
			nritest.Listen(t, socket, func(conn net.Conn) { nritest.Answer(conn, c.err, then) })
			if c.plugin == nil {
				c.plugin = validating{}
			}
			run(t, Config{Socket: socket, Plugin: c.plugin}).problem(c.want)
		})
	}
}

// TestSpare: a runtime that may not know an event is not asked for it.
func TestSpare(t *testing.T) {
	var creations, validations api.EventMask
	creations.Set(api.Event_CREATE_CONTAINER)
	validations.Set(api.Event_VALIDATE_CONTAINER_ADJUSTMENT)
	both := creations | validations
	for name, c := range map[string]struct {
		req         *api.ConfigureRequest
		spare, want api.EventMask
	}{
		"containerd 1.7":        {&api.ConfigureRequest{RuntimeName: "containerd", RuntimeVersion: "v1.7.27"}, validations, creations},
		"containerd 2.0":        {&api.ConfigureRequest{RuntimeName: "containerd", RuntimeVersion: "v2.0.3"}, validations, creations},
		"containerd 2.2":        {&api.ConfigureRequest{RuntimeName: "containerd", RuntimeVersion: "v2.2.0"}, validations, both},
		"says nothing":          {&api.ConfigureRequest{RuntimeName: "other", RuntimeVersion: "1"}, validations, creations},
		"says so":               {&api.ConfigureRequest{RuntimeName: "other", RuntimeVersion: "1", NRIVersion: "v0.9.0"}, validations, creations},
		"says another":          {&api.ConfigureRequest{RuntimeName: "other", RuntimeVersion: "1", NRIVersion: "v0.12.5"}, validations, both},
		"nothing can be spared": {&api.ConfigureRequest{RuntimeName: "containerd", RuntimeVersion: "v2.0.3"}, 0, both},
		"nothing would be left": {&api.ConfigureRequest{RuntimeName: "containerd", RuntimeVersion: "v2.0.3"}, both, both},
	} {
		t.Run(name, func(t *testing.T) {
			nritest.NoLeaks(t)
			socket, got := nritest.Socket(t), make(chan api.EventMask, 100)
			nritest.Listen(t, socket, func(conn net.Conn) {
				nritest.Answer(conn, nil, func(f *nritest.Fake) {
					<-f.Registered
					rpl, err := f.Plugin.Configure(context.Background(), c.req)
					if err != nil {
						return // it ends in the middle
					}
					got <- api.EventMask(rpl.GetEvents())
				})
			})
			run(t, Config{Socket: socket, Spare: c.spare, Plugin: struct {
				creating
				validating
			}{}})
			if mask := <-got; mask != c.want {
				t.Errorf("it wants %s, not %s", mask.PrettyString(), c.want.PrettyString())
			}
		})
	}
}

// TestSilent: a runtime that accepts and says nothing keeps nobody from ending.
func TestSilent(t *testing.T) {
	nritest.NoLeaks(t)
	socket := nritest.Socket(t)
	end := make(chan struct{})
	nritest.Listen(t, socket, func(net.Conn) { <-end })
	t.Cleanup(func() { close(end) })
	s := run(t, Config{Socket: socket, Plugin: validating{}})
	s.problem("connected; the runtime has not taken the plugin in yet")
	s.stop()
}

// TestWaitsItsTurn: NRI sets plugins up one after the other. One that connects and
// says nothing takes longer than NRI's stub waits.
func TestWaitsItsTurn(t *testing.T) {
	adaptation.SetPluginRegistrationTimeout(api.DefaultPluginRegistrationTimeout + time.Second)
	defer adaptation.SetPluginRegistrationTimeout(api.DefaultPluginRegistrationTimeout)
	nritest.NoLeaks(t)
	runtime := nritest.Start(t, nritest.Socket(t))
	silent, err := net.Dial("unix", runtime.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() //nolint:errcheck // nothing was written
	s := run(t, Config{Socket: runtime.Socket, Plugin: validating{}})
	s.connected()
	if n := len(s.log.with("not connected")); n > 0 {
		t.Errorf("it gave up %d times", n)
	}
}

// TestPanic in a handler is an error, and the session goes on.
func TestPanic(t *testing.T) {
	nritest.NoLeaks(t)
	runtime := nritest.Start(t, nritest.Socket(t))
	s := run(t, Config{Socket: runtime.Socket, Plugin: creating{func() { panic("boom") }}})
	s.connected()
	runtime.Plugins(t, 1)
	for range 2 {
		_, err := runtime.Create(t, "c")
		nritest.MustSay(t, err, "the request could not be handled: boom")
	}
	if !s.Status().Connected {
		t.Error("it is not connected any more")
	}
}

// TestDrain: what has been asked is answered before the session ends.
func TestDrain(t *testing.T) {
	nritest.NoLeaks(t)
	runtime := nritest.Start(t, nritest.Socket(t))
	asked, answer := make(chan struct{}), make(chan struct{})
	s := run(t, Config{Socket: runtime.Socket, Plugin: validating{func(ctx context.Context) error {
		close(asked)
		<-answer
		if ctx.Err() != nil {
			return errors.New("the time is over already")
		}
		return errors.New("judged")
	}}})
	s.connected()
	runtime.Plugins(t, 1)
	created := make(chan error, 1)
	go func() { _, err := runtime.Create(t, "c"); created <- err }()
	<-asked
	stopped := make(chan struct{})
	go func() { s.stop(); close(stopped) }()
	select {
	case <-stopped:
		t.Error("it has ended before it answered")
	case <-time.After(3 * parting):
	}
	close(answer)
	nritest.MustSay(t, <-created, `validator "50-tested" rejected`, "judged")
	<-stopped
}

// TestDrainEnds: a handler that does not come back keeps nobody for ever.
func TestDrainEnds(t *testing.T) {
	adaptation.SetPluginRequestTimeout(time.Second)
	defer adaptation.SetPluginRequestTimeout(nritest.Patience)
	nritest.NoLeaks(t)
	runtime := nritest.Start(t, nritest.Socket(t))
	asked, never := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(never) })
	s := run(t, Config{Socket: runtime.Socket, Plugin: validating{func(context.Context) error { close(asked); <-never; return nil }}})
	s.connected()
	runtime.Plugins(t, 1)
	go func() { _, _ = runtime.Create(t, "c") }()
	<-asked
	s.stop()
}

// TestConfig: what can be known to be wrong is, before a socket is touched.
func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  Config
		want string
	}{
		"no name":     {Config{Index: "10", Plugin: validating{}}, "invalid plugin name: name is empty"},
		"bad name":    {Config{Name: "a b", Index: "10", Plugin: validating{}}, `invalid plugin name "a b"`},
		"no index":    {Config{Name: "a", Plugin: validating{}}, `invalid plugin index "", must be 2 digits`},
		"bad index":   {Config{Name: "a", Index: "x1", Plugin: validating{}}, `invalid plugin index "x1"`},
		"no handlers": {Config{Name: "a", Index: "10", Plugin: struct{}{}}, "does not implement any NRI request handlers"},
		"no plugin":   {Config{Name: "a", Index: "10"}, "does not implement any NRI request handlers"},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.Socket = "/nowhere/at/all"
			_, err := New(c.cfg)
			nritest.MustSay(t, err, "NRI session: ", c.want)
		})
	}
}

// TestEnvironment: what launches plugins says so in the environment, which is none
// of a session's business.
func TestEnvironment(t *testing.T) {
	t.Setenv(api.PluginSocketEnvVar, "0")
	t.Setenv(api.PluginNameEnvVar, "other")
	nritest.NoLeaks(t)
	runtime := nritest.Start(t, nritest.Socket(t))
	s := run(t, Config{Socket: runtime.Socket, Plugin: validating{func(context.Context) error { return errors.New("no") }}})
	s.connected()
	runtime.Plugins(t, 1)
	_, err := runtime.Create(t, "c")
	nritest.MustSay(t, err, `validator "50-tested"`)
}
