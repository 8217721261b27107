package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is also the process at the other end: it dials a socket and
// then does what it reads from its standard input, a line a command.
const dialVar = "NRI_GUARD_TEST_DIAL"

// acceptVar makes it one that listens, and says who connects.
const acceptVar = "NRI_GUARD_TEST_ACCEPT"

func TestMain(m *testing.M) {
	if socket := os.Getenv(acceptVar); socket != "" {
		fmt.Println(accept(socket))
		return
	}
	if socket := os.Getenv(dialVar); socket != "" {
		if err := runPeer(socket); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func accept(socket string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return err
	}
	c, err := l.AcceptUnix()
	if err != nil {
		return err
	}
	_, err = new(Inspector).Of(context.Background(), c)
	return err
}

func runPeer(socket string) error {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	f, err := c.(*net.UnixConn).File()
	if err != nil {
		return err
	}
	if _, err := c.Write([]byte("+")); err != nil {
		return err
	}
	var command, argument string
	for {
		if _, err := fmt.Scanln(&command, &argument); errors.Is(err, io.EOF) {
			return nil
		}
		switch command {
		case "exec":
			_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_SETFD, 0) // stays open
			return syscall.Exec(argument, []string{argument, "60"}, nil)
		case "setuid":
			if err := syscall.Setuid(65534); err != nil {
				return err
			}
			if _, err := c.Write([]byte("+")); err != nil {
				return err
			}
		}
	}
}

// process is one at the other end.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	conn *net.UnixConn
}

// start runs an executable, which is this one or a copy, and accepts its
// connection.
func start(t *testing.T, exe string) *process {
	t.Helper()
	return startWith(t, exec.Command(exe))
}

func startWith(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	l := listen(t)
	cmd.Env = append(os.Environ(), dialVar+"="+l.Addr().String())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: cmd, in: in}
	t.Cleanup(p.kill)
	if err := l.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	conn, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	p.conn = conn
	p.expect()
	return p
}

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// expect waits for the sign of the process that it has come so far.
func (p *process) expect() {
	p.t.Helper()
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.conn.Read(make([]byte, 1)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) tell(command, argument string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, command, argument); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func listen(t *testing.T) *net.UnixListener {
	t.Helper()
	dir, err := os.MkdirTemp("", "peer") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// self is this executable.
func self(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// duplicate copies this executable to a place of its own.
func duplicate(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

// mustSay demands an error with the words.
func mustSay(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error; want one that says %q", words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

// eventually waits for something that happens in another process.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("it never came to pass that %s", what)
}
