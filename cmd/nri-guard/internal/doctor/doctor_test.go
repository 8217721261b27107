package doctor

import (
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/text"
)

func TestBuild(t *testing.T) {
	for version, validates := range map[string]bool{
		"": false, "(devel)": false, "v0.3.0": false, "v0.8.1": false, "v0.9.9": false, "nonsense": false, "v0": false,
		"v0.10.0": true, "v0.12.5": true, "v1.0.0": true, "v0.10.0-rc.1": true, "v0.11.1-0.20260101000000-abcdefabcdef": true,
	} {
		if got := (build{nri: version}).validates(); got != validates {
			t.Errorf("NRI %q: validates %t, want %t", version, got, validates)
		}
	}
	for path, old := range map[string]bool{
		"github.com/containerd/containerd/cmd/containerd":    true,
		"github.com/containerd/containerd/v2/cmd/containerd": false,
		"github.com/cri-o/cri-o/cmd/crio":                    false,
	} {
		if got := (build{major: majorOf(&debug.BuildInfo{Path: path})}).old(); got != old {
			t.Errorf("%s: old %t, want %t", path, got, old)
		}
	}
}

// TestBegan finds out when this very process was started.
func TestBegan(t *testing.T) {
	h := host{"/"}
	began := h.began(h.boot(), "self")
	if began.IsZero() {
		t.Skip("/proc/stat or /proc/self/stat does not say it here")
	}
	if age := time.Since(began); age < -time.Second || age > time.Hour {
		t.Errorf("started %s ago", age)
	}
}

// TestListeners finds the one who answers at a socket, whatever it was called before, and
// nobody where it was left behind.
func TestListeners(t *testing.T) {
	dir := t.TempDir()
	hidden, socket := filepath.Join(dir, "h"), filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := os.Rename(hidden, socket); err != nil {
		t.Fatal(err)
	}
	n := &node{host: host{"/"}}
	n.processes = n.host.processes()
	if found, known := n.listeners(socket); !known || len(found) != 1 || found[0].pid != os.Getpid() {
		t.Errorf("found %v, known %t, want process %d", found, known, os.Getpid())
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if found, known := n.listeners(socket); !known || len(found) > 0 {
		t.Errorf("found %v, known %t, where nobody listens", found, known)
	}
}

// TestNamed looks for the one who listens in the kernel's own table.
func TestNamed(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	n := &node{host: host{"/"}}
	n.processes = n.host.processes()
	found, known := n.named(socket)
	if !known {
		t.Skip("/proc/1/net/unix or the files of this process cannot be read here")
	}
	if len(found) == 0 {
		t.Skip("this process is in another network namespace than process 1")
	}
	if len(found) != 1 || found[0].pid != os.Getpid() {
		t.Errorf("found %v, want process %d", found, os.Getpid())
	}
	if found, known := n.named(socket + ".other"); !known || len(found) > 0 {
		t.Errorf("found %v where nobody listens", found)
	}
}

func TestSocketOf(t *testing.T) {
	for line, want := range map[string]string{
		"0000: 00000002 00000000 00010000 0001 01 77 /run/a":  "77 /run/a",
		"0000: 00000003 00000000 00000000 0001 03 77 /run/a":  " ",      // a connection
		"0000: 00000002 00000000 00010000 0001 01 77 @hidden": " ",      // no file
		"0000: 00000002 00000000 00010000 0001 01 77":         " ",      // no name
		"0000: 00000002 00000000 zzzz 0001 01 77 /run/a":      " ",      // no flags
		"0000: 00000002 00000000 00010000 0001 01 7 /a b":     "7 /a b", // a space
		"": " ",
	} {
		inode, name := socketOf(line)
		if got := inode + " " + name; got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestFlagValue(t *testing.T) {
	for _, c := range []struct{ line, name, want string }{
		{"--config /a --x", "config", "/a"},
		{"--config=/a", "config", "/a"},
		{"-c /a", "c", "/a"},
		{"-config /a", "config", "/a"},
		{"--enable-nri --x", "enable-nri", ""},
		{"--configs /a", "config", "none"},
		{"config /a", "config", "none"},
		{"--x --config", "config", ""},
		{"--config /a --x --config=/b", "config", "/b"},
		{"--config=/a --config --x", "config", ""},
	} {
		value, given := flagValue(strings.Fields(c.line), c.name)
		if !given {
			value = "none"
		}
		if value != c.want {
			t.Errorf("%s in %q: %q, want %q", c.name, c.line, value, c.want)
		}
	}
}

// TestWrite keeps what is pasted in one piece, and what comes from a node from moving the
// cursor.
func TestWrite(t *testing.T) {
	r := &Report{
		Problems: []string{"a file that is\x1b[2J odd"},
		Findings: []Finding{{
			Check: "c", About: "guard", Severity: Weak, Summary: strings.Repeat("long ", 12), Evidence: []string{"10-\x1b[31mred\nFINE"},
			Fix: &Fix{Do: "Do", File: "/f", Paste: "a line that is longer than forty columns are\n  another"},
		}},
	}
	var out strings.Builder
	if err := r.Write(&out, text.Style{}, 40); err != nil {
		t.Fatal(err)
	}
	want := `could not look: a file that is\x1b[2J
  odd
WEAK
  guard: long long long long long long
    long long long long long long [c]
    seen: 10-\x1b[31mred\nFINE
    fix: Do; merge into /f
        a line that is longer than forty columns are
          another

0 fail open, 1 weak, 0 unknown, 0 fine
`
	if got := out.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
