package peer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/engine"
)

// inspectors are one as the kernel allows, and one as on Linux before 6.5.
func inspectors() map[string]*Inspector {
	return map[string]*Inspector{"as it is": {}, "before Linux 6.5": {old: true}}
}

func digestOf(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// observe demands a peer.
func observe(t *testing.T, i *Inspector, conn *net.UnixConn) *Peer {
	t.Helper()
	p, err := i.Of(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// TestOf looks at a child that connected, and at one that was started.
func TestOf(t *testing.T) {
	exe := duplicate(t)
	for name, i := range inspectors() {
		t.Run(name, func(t *testing.T) {
			child := start(t, exe)
			p := observe(t, i, child.conn)
			want := engine.Identity{PID: int64(child.cmd.Process.Pid), UID: int64(os.Getuid()), GID: int64(os.Getgid()),
				Exe: exe, SHA256: digestOf(t, exe)}
			got := p.Identity()
			got.Cgroup, got.Unit = "", ""
			if got != want {
				t.Errorf("the child is\n%+v, want\n%+v", got, want)
			}
			if err := p.Verify(); err != nil {
				t.Error(err)
			}
			byNumber, err := i.Process(child.cmd.Process.Pid)
			if err != nil {
				t.Fatal(err)
			}
			defer byNumber.Close() //nolint:errcheck // nothing was written
			if byNumber.Identity() != p.Identity() {
				t.Errorf("by its number it is\n%+v, by its socket\n%+v", byNumber.Identity(), p.Identity())
			}
			if gaps := p.Gaps(); len(gaps) > 0 && !strings.HasPrefix(gaps[0], "cgroup") {
				t.Error(gaps)
			}
		})
	}
}

// TestExit: a process that has gone is noticed, whether it is looked at before or
// after, and whether its parent has taken note or not.
func TestExit(t *testing.T) {
	for name, i := range inspectors() {
		for _, reaped := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				child := start(t, self(t))
				p := observe(t, i, child.conn)
				if reaped {
					child.kill()
				} else if err := child.cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				eventually(t, "the exit is noticed", func() bool { return errors.Is(p.Verify(), ErrExited) })
				if late, err := i.Of(t.Context(), child.conn); !errors.Is(err, ErrExited) {
					t.Errorf("a process that is gone is %+v, %v", late, err)
				}
				mustSay(t, p.Verify(), "process", "has exited")
			})
		}
	}
}

// TestExec: what connects and then runs something else is not who it was. The
// process id, its start and the connection stay.
func TestExec(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	if sleep, err = filepath.EvalSymlinks(sleep); err != nil {
		t.Fatal(err)
	}
	for name, i := range inspectors() {
		t.Run(name, func(t *testing.T) {
			child := start(t, self(t))
			p := observe(t, i, child.conn)
			child.tell("exec", sleep)
			eventually(t, "the exec is noticed", func() bool { return errors.Is(p.Verify(), ErrReplaced) })
			mustSay(t, p.Verify(), "ran "+self(t), "now it runs "+sleep)
			if now := observe(t, i, child.conn).Identity(); now.Exe != sleep || now.SHA256 != digestOf(t, sleep) {
				t.Errorf("it now is %+v", now)
			}
		})
	}
}

// TestExecOfCopy: the same content at another place is another executable.
func TestExecOfCopy(t *testing.T) {
	child := start(t, self(t))
	p := observe(t, &Inspector{}, child.conn)
	child.tell("exec", duplicate(t))
	eventually(t, "the exec is noticed", func() bool { return errors.Is(p.Verify(), ErrReplaced) })
}

// TestDeleted: a process goes on to run what has been deleted or replaced, and is
// known by that. Its path is none that anybody would trust.
func TestDeleted(t *testing.T) {
	for name, replace := range map[string]func(string) error{
		"deleted": os.Remove,
		"replaced": func(exe string) error {
			if err := os.WriteFile(exe+".new", []byte("other"), 0o755); err != nil {
				return err
			}
			return os.Rename(exe+".new", exe)
		},
	} {
		t.Run(name, func(t *testing.T) {
			exe := duplicate(t)
			digest := digestOf(t, exe)
			child := start(t, exe)
			before := observe(t, &Inspector{}, child.conn)
			if err := replace(exe); err != nil {
				t.Fatal(err)
			}
			after := observe(t, &Inspector{}, child.conn).Identity()
			if after.Exe != exe+" (deleted)" || after.SHA256 != digest {
				t.Errorf("it is %+v", after)
			}
			if err := before.Verify(); err != nil {
				t.Errorf("a process whose file was %s is another one now: %v", name, err)
			}
		})
	}
}

// TestNameLikeDeleted: nothing is cut off from a path.
func TestNameLikeDeleted(t *testing.T) {
	exe := duplicate(t)
	odd := exe + " (deleted)"
	if err := os.Rename(exe, odd); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, []byte("trusted"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := observe(t, &Inspector{}, start(t, odd).conn).Identity().Exe; got != odd {
		t.Errorf("the executable %q is seen as %q", odd, got)
	}
}

// TestElsewhere: a path that means another file on the host does not pass for it.
func TestElsewhere(t *testing.T) {
	root := t.TempDir()
	exe := self(t)
	if err := os.MkdirAll(filepath.Join(root, filepath.Dir(exe)), 0o755); err != nil {
		t.Fatal(err)
	}
	child := start(t, exe)
	if got := observe(t, &Inspector{Root: root}, child.conn).Identity().Exe; got != Unreachable+exe {
		t.Errorf("a path that is not there is %q", got)
	}
	if err := os.WriteFile(filepath.Join(root, exe), []byte("trusted"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := observe(t, &Inspector{Root: root}, child.conn).Identity().Exe; got != Unreachable+exe {
		t.Errorf("a path that is another file is %q", got)
	}
	if got := observe(t, &Inspector{Root: "/"}, child.conn).Identity().Exe; got != exe {
		t.Errorf("a path of the host is %q", got)
	}
}

// TestOtherMounts: a process that sees its own executable at a trusted path, as in
// a container, does not pass for the program that the host has there.
func TestOtherMounts(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount")
	}
	evil, trusted := duplicate(t), filepath.Join(t.TempDir(), "trusted")
	if err := os.WriteFile(trusted, []byte("trusted"), 0o755); err != nil {
		t.Fatal(err)
	}
	child := startWith(t, &exec.Cmd{
		Path:        "/bin/sh",
		Args:        []string{"sh", "-c", `mount --bind "$0" "$1" && exec "$1"`, evil, trusted},
		SysProcAttr: &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS},
	})
	if got := observe(t, &Inspector{}, child.conn).Identity(); got.Exe != Unreachable+trusted || got.SHA256 != digestOf(t, evil) {
		t.Errorf("it is %+v", got)
	}
}

// TestOtherPIDNamespace: who has no number that the guard could see is nobody.
func TestOtherPIDNamespace(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make a pid namespace")
	}
	socket := filepath.Join(filepath.Dir(listen(t).Addr().String()), "other")
	guard := exec.Command(self(t))
	guard.Env = append(os.Environ(), acceptVar+"="+socket)
	guard.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	var says strings.Builder
	guard.Stdout = &says
	if err := guard.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = guard.Process.Kill() })
	eventually(t, "somebody listens", func() bool {
		c, err := net.Dial("unix", socket)
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
		}
		return err == nil
	})
	if err := guard.Wait(); err != nil {
		t.Fatal(err)
	}
	mustSay(t, errors.New(says.String()), ErrUnknown.Error(), "it is in another pid namespace; run the guard in the host's")
}

// TestUser: who connected stays who connected.
func TestUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	child := start(t, self(t))
	p := observe(t, &Inspector{}, child.conn)
	child.tell("setuid", "nobody")
	child.expect()
	if err := p.Verify(); err != nil {
		t.Error(err)
	}
	if got := observe(t, &Inspector{}, child.conn).Identity().UID; got != 0 {
		t.Errorf("who connected as root is %d", got)
	}
	now, err := new(Inspector).Process(child.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer now.Close() //nolint:errcheck // nothing was written
	if got := now.Identity().UID; got != 65534 {
		t.Errorf("who has become nobody is %d", got)
	}
}

// TestSocketpair: a socket that was handed down names who made it.
func TestSocketpair(t *testing.T) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fds[1]) //nolint:errcheck // nothing was written
	f := os.NewFile(uintptr(fds[0]), "pair")
	defer f.Close() //nolint:errcheck // nothing was written
	c, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // nothing was written
	if got := observe(t, &Inspector{}, c.(*net.UnixConn)).Identity().PID; got != int64(os.Getpid()) {
		t.Errorf("it was made by %d", got)
	}
}

// TestNobody: a number that nobody has.
func TestNobody(t *testing.T) {
	child := start(t, self(t))
	pid := child.cmd.Process.Pid
	child.kill()
	if p, err := new(Inspector).Process(pid); !errors.Is(err, ErrExited) {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestBounds: what is too large or takes too long is unknown, and says why.
func TestBounds(t *testing.T) {
	child := start(t, self(t))
	for name, c := range map[string]struct {
		inspector *Inspector
		exe, gap  string
	}{
		"size": {&Inspector{MaxExecutable: 1000}, self(t), "executable: " + self(t) + ": it has "},
		"time": {&Inspector{Timeout: time.Nanosecond}, "", "executable: it could not be read in 1ns"},
	} {
		t.Run(name, func(t *testing.T) {
			p := observe(t, c.inspector, child.conn)
			id := p.Identity()
			if id.SHA256 != "" || id.Exe != c.exe || id.PID == 0 {
				t.Errorf("it is %+v", id)
			}
			if !slices.ContainsFunc(p.Gaps(), func(g string) bool { return strings.HasPrefix(g, c.gap) }) {
				t.Errorf("the gaps are %q", p.Gaps())
			}
			if err := p.Verify(); err != nil {
				t.Errorf("what is not known has changed: %v", err)
			}
			demand := &engine.IdentityMatch{SHA256: digestOf(t, self(t))}
			if demand.Matches(&id) {
				t.Error("it matches a digest that is not known")
			}
		})
	}
}

// TestConcurrent: many at once, all through one inspector.
func TestConcurrent(t *testing.T) {
	i := &Inspector{}
	exe, other := self(t), duplicate(t)
	digest := digestOf(t, exe)
	var children []*process
	for n := range 8 {
		children = append(children, start(t, []string{exe, other}[n%2]))
	}
	var wg sync.WaitGroup
	for round := range 64 {
		wg.Go(func() {
			child := children[round%len(children)]
			p, err := i.Of(t.Context(), child.conn)
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Close() //nolint:errcheck // nothing was written
			if id := p.Identity(); id.PID != int64(child.cmd.Process.Pid) || id.SHA256 != digest {
				t.Errorf("it is %+v; %q", id, p.Gaps())
			}
			if err := p.Verify(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// TestReusedNumber gives the number of a process that has gone to another one.
func TestReusedNumber(t *testing.T) {
	for name, i := range inspectors() {
		t.Run(name, func(t *testing.T) {
			child := start(t, self(t))
			p := observe(t, i, child.conn)
			child.kill()
			reuse(t, child.cmd.Process.Pid)
			if err := p.Verify(); !errors.Is(err, ErrExited) {
				t.Errorf("the process with the same number passes: %v", err)
			}
			other, err := i.Of(t.Context(), child.conn)
			if i.old { // there is no telling, see the package's comment
				if err != nil {
					t.Fatal(err)
				}
				defer other.Close() //nolint:errcheck // nothing was written
				if other.Identity().SHA256 == p.Identity().SHA256 {
					t.Errorf("it is %+v", other.Identity())
				}
			} else if !errors.Is(err, ErrExited) {
				t.Errorf("who connected is %+v, %v", other, err)
			}
		})
	}
}

// reuse starts a process with the number.
func reuse(t *testing.T, pid int) {
	t.Helper()
	for range 200 {
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(pid-1)), 0); err != nil {
			t.Skipf("a process's number cannot be chosen here: %v", err)
		}
		cmd := exec.Command("sleep", "60")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		if cmd.Process.Pid == pid {
			return
		}
	}
	t.Skip("another process has always been faster to get the number")
}
