package systemd_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/systemd"
)

// listen is the service manager's end.
func listen(t *testing.T) func() string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 4096)
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(`MONOTONIC_USEC=\d+`).ReplaceAllString(string(b[:n]), "MONOTONIC_USEC=N")
	}
}

func TestNotify(t *testing.T) {
	next, ctx := listen(t), t.Context()
	for _, c := range []struct {
		tell func()
		want string
	}{
		{func() { systemd.Waiting(ctx, "no runtime", time.Minute) }, "STATUS=no runtime\nEXTEND_TIMEOUT_USEC=60000000"},
		{func() { systemd.Ready(ctx, "fine") }, "READY=1\nSTATUS=fine"},
		{func() { systemd.Status(ctx, "a\nWATCHDOG=trigger") }, "STATUS=a; WATCHDOG=trigger"},
		{func() { systemd.Reloading(ctx) }, "RELOADING=1\nMONOTONIC_USEC=N"},
		{func() { systemd.Stopping(ctx) }, "STOPPING=1\nSTATUS=Stopping"},
	} {
		c.tell()
		if diff := cmp.Diff(c.want, next()); diff != "" {
			t.Error(diff)
		}
	}
}

// TestWatchdog: what is not healthy is not said to be alive.
func TestWatchdog(t *testing.T) {
	next := listen(t)
	t.Setenv("WATCHDOG_USEC", strconv.Itoa(int((20 * time.Millisecond).Microseconds())))
	t.Setenv("WATCHDOG_PID", "")
	ctx, cancel := context.WithCancel(t.Context())
	var sick atomic.Bool
	asked := make(chan struct{}, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		systemd.Watchdog(ctx, func(context.Context) error {
			asked <- struct{}{}
			if sick.Load() {
				return errors.New("sick")
			}
			return nil
		})
	}()
	for range 3 {
		if got := next(); got != "WATCHDOG=1" {
			t.Fatalf("got %q", got)
		}
	}
	sick.Store(true)
	for len(asked) > 0 {
		<-asked
	}
	<-asked // this one may have been before
	<-asked
	systemd.Status(ctx, "from here on")
	for got := ""; got != "STATUS=from here on"; {
		got = next()
	}
	<-asked
	<-asked
	systemd.Status(ctx, "nothing before")
	if got := next(); got != "STATUS=nothing before" {
		t.Errorf("what is sick says %s", got)
	}
	cancel()
	<-done
}

// TestNobodyListens: without a service manager nothing happens.
func TestNobodyListens(t *testing.T) {
	for _, socket := range []string{"", "/nowhere/notify"} {
		t.Setenv("NOTIFY_SOCKET", socket)
		t.Setenv("WATCHDOG_USEC", "")
		systemd.Ready(t.Context(), "fine")
		systemd.Watchdog(t.Context(), func(context.Context) error { t.Error("asked"); return nil })
	}
}
