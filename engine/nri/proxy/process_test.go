package proxy_test

import (
	"context"
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

	"github.com/containerd/nri/pkg/api"
	nrinet "github.com/containerd/nri/pkg/net"
	"github.com/containerd/nri/pkg/stub"
)

// The test binary is also the plugins that run as processes of their own: those
// that the proxy launches know their name from NRI's variable, others from this
// one, and have the socket in the second and what else they need in the third.
const (
	processVar = "PROXY_TEST_PROCESS"
	socketVar  = "PROXY_TEST_SOCKET"
	otherVar   = "PROXY_TEST_OTHER"
)

// processes say on the standard output how registering went.
var processes = map[string]func() error{
	// "dialer" registers under the name that it is given.
	"dialer": func() error {
		return serveProcess(os.Getenv(otherVar), stub.WithSocketPath(os.Getenv(socketVar)))
	},
	// "turncoat" connects, becomes another program, and has that one register.
	"turncoat": func() error {
		conn, err := net.Dial("unix", os.Getenv(socketVar))
		if err != nil {
			return err
		}
		f, err := conn.(*net.UnixConn).File()
		if err != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond) // so that the proxy has looked, most likely
		if err := syscall.Dup3(int(f.Fd()), 9, 0); err != nil {
			return err
		}
		other := os.Getenv(otherVar)
		return syscall.Exec(other, []string{other}, []string{processVar + "=inheritor"})
	},
	// "lender" connects and gives the connection to whoever listens on the other
	// socket.
	"lender": func() error {
		conn, err := net.Dial("unix", os.Getenv(socketVar))
		if err != nil {
			return err
		}
		f, err := conn.(*net.UnixConn).File()
		if err != nil {
			return err
		}
		other, err := net.Dial("unix", os.Getenv(otherVar))
		if err != nil {
			return err
		}
		if _, _, err := other.(*net.UnixConn).WriteMsgUnix([]byte{0}, syscall.UnixRights(int(f.Fd())), nil); err != nil {
			return err
		}
		fmt.Println("lent")
		select {}
	},
	// "hog" does as it is told, on many connections.
	"hog": runHog,
	"inheritor": func() error {
		conn, err := nrinet.NewFdConn(9)
		if err != nil {
			return err
		}
		return serveProcess("trusted", stub.WithConnection(conn))
	},
}

func serveProcess(name string, options ...stub.Option) error {
	options = append(options, stub.WithPluginName(name), stub.WithPluginIdx("10"), stub.WithLogger(quiet{}))
	s, err := stub.New(setting("PROCESS", name), options...)
	if err != nil {
		return err
	}
	if err := s.Start(context.Background()); err != nil {
		fmt.Println(err)
		return nil
	}
	fmt.Println("registered")
	s.Wait()
	return nil
}

// spawn starts a process and returns what it says of its registration.
func spawn(t testing.TB, program, process, socket, other string) string {
	t.Helper()
	said, _ := spawnProcess(t, program, process, socket, other)
	return said
}

// spawnProcess is spawn where the process is wanted too.
func spawnProcess(t testing.TB, program, process, socket, other string) (string, *exec.Cmd) {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), processVar+"="+process, socketVar+"="+socket, otherVar+"="+other)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	})
	line := make([]byte, 4096)
	n, err := out.Read(line)
	if err != nil {
		t.Fatalf("the process says nothing: %v", err)
	}
	return strings.TrimSpace(string(line[:n])), cmd
}

// borrow has another process connect to the socket, and takes over the connection.
func borrow(t testing.TB, socket string) (*rawPlugin, *exec.Cmd) {
	t.Helper()
	here := filepath.Join(shortDir(t), "here.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: here, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	said, lender := spawnProcess(t, self(t), "lender", socket, here)
	if said != "lent" {
		t.Fatalf("the lender says %q", said)
	}
	from, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close() //nolint:errcheck // it has served
	oob := make([]byte, 64)
	_, n, _, _, err := from.ReadMsgUnix(make([]byte, 1), oob)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := syscall.ParseSocketControlMessage(oob[:n])
	if err != nil {
		t.Fatal(err)
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	conn, err := nrinet.NewFdConn(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return newRaw(t, conn), lender
}

func self(t testing.TB) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// another is a copy of the test binary with another digest.
func another(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// runLaunched is the main function of plugins that the proxy starts.
func runLaunched(name string) error {
	var s stub.Stub
	config := "none"
	p := &testPlugin{
		configure: func(c, _, _ string) { config = c },
		create: func(_ *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
			if strings.HasPrefix(c.GetId(), "kill-"+name) {
				os.Exit(3)
			}
			a := annotation("config."+name, config)
			a.AddAnnotation("environment."+name, strings.Join(os.Environ(), " "))
			a.AddAnnotation("pid."+name, fmt.Sprint(os.Getpid()))
			if _, taken := c.GetAnnotations()["first"]; !taken {
				a.AddAnnotation("first", name)
			}
			return a, nil, nil
		},
	}
	options := []stub.Option{stub.WithLogger(quiet{})}
	switch name {
	case "liar":
		options = append(options, stub.WithPluginName("trusted"))
	case "a-late":
		time.Sleep(200 * time.Millisecond)
	}
	s, err := stub.New(p, options...)
	if err != nil {
		return err
	}
	return s.Run(context.Background())
}

// install makes the test binary a plugin of a launch directory.
func install(t testing.TB, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Symlink(self(t), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func ownerOf(t testing.TB, path string) (uid, gid uint32) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	sys := info.Sys().(*syscall.Stat_t)
	return sys.Uid, sys.Gid
}
