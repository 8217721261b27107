package socket

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// published is a socket in its place.
func published(t *testing.T) *Place {
	t.Helper()
	p := New(filepath.Join(t.TempDir(), "nri.sock"))
	if p.Mine() || p.Changed() != "" {
		t.Error("there is nothing yet")
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: p.Hidden, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	t.Cleanup(func() { _ = l.Close() })
	if err := os.Chmod(p.Hidden, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestChanged(t *testing.T) {
	p := published(t)
	if got := p.Changed(); got != "" || !p.Mine() {
		t.Errorf("from the start: %q", got)
	}
	if err := os.Chmod(p.Path, 0o666); err != nil {
		t.Fatal(err)
	}
	if got := p.Changed(); !strings.Contains(got, "mode 0666, owner ") || !strings.Contains(got, ", and was mode 0600, owner ") {
		t.Errorf("mode: %q", got)
	}
	if err := os.Chmod(p.Path, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := p.Changed(); got != "" {
		t.Errorf("set back: %q", got)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(p.Path, 65534, 65533); err != nil {
			t.Fatal(err)
		}
		if got := p.Changed(); !strings.HasPrefix(got, "mode 0600, owner 65534:65533, and was mode 0600, owner ") {
			t.Errorf("owner: %q", got)
		}
	}
	if err := os.Remove(p.Path); err != nil {
		t.Fatal(err)
	}
	if p.Mine() || p.Changed() != "" {
		t.Error("it is gone")
	}
}
