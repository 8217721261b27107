package tests

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNobodyReads: somebody holds the guard's standard error and never reads it. That
// keeps no decision waiting, and not the end either.
func TestNobodyReads(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			n := newNode(t)
			n.configure(asValidator + "policy: {timeout: 2s}\naudit: {path: DIR/decisions}\n")
			runtime := n.serve()
			file, err := program()
			if err != nil {
				t.Fatal(err)
			}
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close() //nolint:errcheck // it is only a test's
			if _, err := unix.FcntlInt(writer.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(file, "run", "--config", n.config, "--log-level", "debug", "--log-format", format)
			cmd.Stderr = writer
			if err := errors.Join(cmd.Start(), writer.Close()); err != nil {
				t.Fatal(err)
			}
			g := &guard{node: n, cmd: cmd, ended: make(chan struct{})}
			go func() {
				_ = cmd.Wait() // how it ended is in ProcessState
				close(g.ended)
			}()
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			g.eventually("the guard is connected", func() bool { return runtime.plugins() == 2 })
			const many = 100 // several times what the pipe holds
			for i := range many {
				if _, err := runtime.create(fmt.Sprint(i)); err != nil {
					t.Fatalf("container %d: %v", i, err)
				}
			}
			if got := strings.Count(read(t, filepath.Join(n.dir, "decisions")), "\n"); got != many {
				t.Errorf("%d decisions are recorded, want %d", got, many)
			}
			g.signal(syscall.SIGTERM)
			if code := g.exits(); code != 0 {
				t.Errorf("exit code %d: %v", code, cmd.ProcessState)
			}
		})
	}
}

// TestIdentityIsRecorded: who asks is in the decision log as it was observed.
func TestIdentityIsRecorded(t *testing.T) {
	n := newNode(t)
	n.configure(asProxy + "audit: {path: DIR/decisions}\n")
	runtime := n.serve()
	g := n.start()
	g.becomes("ready")
	plugin := n.plug(n.plugins, "10", "known", greeting)
	g.eventually("the runtime has the plugin", func() bool { return runtime.plugins() == 2 })
	if _, err := runtime.create("c"); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{} // the host's root is the node's, where the plugin's program is not
	for line := range strings.Lines(read(t, filepath.Join(n.dir, "decisions"))) {
		var d struct {
			Operation string
			Input     struct {
				Plugin struct {
					Name     string
					Identity struct {
						PID, UID    int
						Exe, SHA256 string
					}
				}
			}
		}
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatal(err)
		}
		id := d.Input.Plugin.Identity
		if d.Input.Plugin.Name != "known" || id.PID != plugin.Process.Pid || id.UID != os.Getuid() || !strings.HasSuffix(id.Exe, exe) || len(id.SHA256) != 64 {
			t.Errorf("%s by %+v, want process %d, user %d, %s", d.Operation, d.Input.Plugin, plugin.Process.Pid, os.Getuid(), exe)
		}
		seen[d.Operation] = true
	}
	if !seen["RegisterPlugin"] || !seen["CreateContainer"] {
		t.Errorf("recorded are %v", seen)
	}
}
