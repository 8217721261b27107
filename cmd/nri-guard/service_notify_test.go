package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
)

// notified is the service manager's end: what it is told, in order.
type notified struct {
	t    *testing.T
	conn *net.UnixConn
}

func listenNotify(t *testing.T, path string) *notified {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return &notified{t, conn}
}

// until reads up to a message that matches a pattern. One before it that matches never
// fails the test.
func (n *notified) until(want, never string) {
	n.t.Helper()
	if err := n.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		n.t.Fatal(err)
	}
	b := make([]byte, 1<<16)
	for {
		size, err := n.conn.Read(b)
		if err != nil {
			n.t.Fatalf("waiting for %s: %v", want, err)
		}
		if regexp.MustCompile(want).Match(b[:size]) {
			return
		}
		if never != "" && regexp.MustCompile(never).Match(b[:size]) {
			n.t.Fatalf("waiting for %s: got %q", want, b[:size])
		}
	}
}

// TestReloadWhileWaiting: whoever is ordered after the guard is not let go by a reload
// while the guard waits for the runtime, but by the runtime alone. Reloads after that
// are told of.
func TestReloadWhileWaiting(t *testing.T) {
	dir, err := os.MkdirTemp("", "guard") // t.TempDir's are too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file, socket := filepath.Join(dir, "guard.yaml"), filepath.Join(dir, "nri.sock")
	good := "version: 1\nvalidator: {enabled: true}\nadmin: {address: off}\nruntime: {socket: " + socket + "}\n"
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(good)
	manager := listenNotify(t, filepath.Join(dir, "notify"))
	asked, end := serveHere(t, file)

	const early = `READY=1|RELOADING=1`
	manager.until(`^STATUS=not ready; observer on .*; validator on .*\nEXTEND_TIMEOUT_USEC=30000000$`, early)
	write(good + "nonsense: 1\n") // noticed, or asked for
	asked <- syscall.SIGHUP
	manager.until(`^STATUS=not ready; .*the last reload failed, .*unknown key "nonsense"`, early)
	write(good)
	asked <- syscall.SIGHUP
	manager.until(`^STATUS=not ready; observer on [^;]*; validator on [^;]*$`, early)

	runtime, err := adaptation.New("testd", "1.2.3",
		func(ctx context.Context, tell adaptation.SyncCB) error { _, err := tell(ctx, nil, nil); return err },
		func(context.Context, []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) { return nil, nil },
		adaptation.WithSocketPath(socket), adaptation.WithPluginPath(filepath.Join(dir, "none")))
	if err == nil {
		err = runtime.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(runtime.Stop)
	manager.until(`^READY=1\nSTATUS=ready$`, "READY=1")
	asked <- syscall.SIGHUP
	manager.until(`^RELOADING=1\nMONOTONIC_USEC=\d+$`, "READY=1")
	manager.until(`^READY=1\nSTATUS=ready$`, "READY=1")
	end()
}

// serveHere runs a service in this process. What is sent to asked has it reload.
func serveHere(t *testing.T, file string) (asked chan<- os.Signal, end func()) {
	t.Helper()
	first, err := load(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newService(t.Context(), file, first)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	reload, done := make(chan os.Signal), make(chan error, 1)
	go func() { done <- s.run(ctx, reload) }()
	return reload, func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
