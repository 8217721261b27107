package peer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nri-guard/nri-guard/engine"
)

// Defaults of an [Inspector].
const (
	DefaultMaxExecutable = 512 << 20
	DefaultTimeout       = 5 * time.Second
)

// Inspector looks at processes and remembers the digests of their executables.
// Its zero value works; its fields must not change once it is in use. It is safe
// for concurrent use: a large executable that is being hashed keeps nobody else
// waiting.
type Inspector struct {
	// Root is where the host's file system is found, for telling whether the path
	// of an executable means the same on the host. "" is "/".
	Root string
	// MaxExecutable is how large an executable may be, in bytes, to be hashed; 0 is
	// [DefaultMaxExecutable].
	MaxExecutable int64
	// Timeout bounds how long an executable is looked at; 0 is [DefaultTimeout].
	Timeout time.Duration

	digests digests
	// old has the inspector do without SO_PEERPIDFD, as before Linux 6.5.
	old bool
}

// Of returns who connected to a unix socket, or who listens where it is the
// caller that connected. The peer must be closed. An error wraps [ErrUnknown]
// where the kernel does not say who it is, or [ErrExited]; of what cannot be found
// out besides, or not before ctx ends, [Peer.Gaps] tell.
func (i *Inspector) Of(ctx context.Context, conn *net.UnixConn) (*Peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("looking at who connected: %w", err)
	}
	var cred *unix.Ucred
	var credErr error
	pidfd, pidfdErr := -1, error(unix.ENOPROTOOPT)
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if credErr == nil && !i.old {
			pidfd, pidfdErr = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PEERPIDFD)
		}
	})
	if err := errors.Join(err, credErr); err != nil {
		return nil, fmt.Errorf("looking at who connected: %w", err)
	}
	if cred.Pid <= 0 {
		if pidfdErr == nil {
			_ = unix.Close(pidfd)
		}
		return nil, fmt.Errorf("%w: it is in another pid namespace; run the guard in the host's", ErrUnknown)
	}
	id := engine.Identity{PID: int64(cred.Pid), UID: int64(cred.Uid), GID: int64(cred.Gid)}
	switch {
	case pidfdErr == nil:
		unix.CloseOnExec(pidfd)
	case errors.Is(pidfdErr, unix.ENOPROTOOPT):
		if pidfd, err = pidfdOpen(int(cred.Pid)); err != nil {
			return nil, err
		}
	default: // the process is gone: ESRCH, or EINVAL in some versions
		return nil, fmt.Errorf("process %d: %w (%w)", cred.Pid, ErrExited, pidfdErr)
	}
	return i.hold(ctx, id, pidfd)
}

// Owner returns the ids of the process that connected and of its user, before anything
// else is found out: 0 and -1 where the kernel does not say.
func Owner(conn *net.UnixConn) (pid int, uid int64) {
	uid = -1
	raw, err := conn.SyscallConn()
	if err != nil {
		return pid, uid
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid, uid = max(0, int(cred.Pid)), int64(cred.Uid)
		}
	})
	return pid, uid
}

// Process returns the process with the given id, which the caller knows to be
// alive and its own: a child that has not been waited for. The peer must be closed.
func (i *Inspector) Process(pid int) (*Peer, error) {
	pidfd, err := pidfdOpen(pid)
	if err != nil {
		return nil, err
	}
	p, err := i.hold(context.Background(), engine.Identity{PID: int64(pid), UID: -1, GID: -1}, pidfd)
	if err != nil {
		return nil, err
	}
	if p.identity.UID, p.identity.GID, err = p.dir.user(); err != nil {
		p.gap("user", err)
	}
	return p, nil
}

func pidfdOpen(pid int) (int, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		err = ErrExited
	}
	if err != nil {
		return -1, fmt.Errorf("process %d: %w", pid, err)
	}
	return fd, nil
}

// hold takes over the pidfd and opens the directory of the process. Both mean the
// same process if it is alive afterwards. Before Linux 6.5 the pidfd itself was
// opened by number: then the process has at least been the same all the while.
func (i *Inspector) hold(ctx context.Context, id engine.Identity, pidfd int) (_ *Peer, err error) {
	p := &Peer{inspector: i, identity: id, pidfd: os.NewFile(uintptr(pidfd), "pidfd")}
	defer func() {
		if err != nil {
			_ = p.Close()
		}
	}()
	if p.dir, err = openProc(int(id.PID)); err != nil {
		return nil, err
	}
	if p.start, err = p.dir.startTime(); err != nil {
		return nil, fmt.Errorf("process %d: %w (%w)", id.PID, ErrExited, err)
	}
	i.fill(ctx, p)
	if err := p.alive(); err != nil {
		return nil, err
	}
	return p, nil
}

// fill reads what can be found out of the process.
func (i *Inspector) fill(ctx context.Context, p *Peer) {
	exe, err := i.executable(ctx, p.dir, p.identity)
	if err != nil {
		p.gap("executable", err)
	}
	p.exe = exe
	p.identity.Exe, p.identity.SHA256 = exe.path, exe.sha256
	if p.identity.Cgroup, err = p.dir.cgroup(); err != nil {
		p.gap("cgroup", err)
	}
	p.identity.Unit = Unit(p.identity.Cgroup)
}

func (p *Peer) gap(what string, err error) {
	p.gaps = append(p.gaps, fmt.Sprintf("%s: %v", what, err))
	slices.Sort(p.gaps)
}

// executable looks at what the process runs. It is given up when it takes too
// long: a file system may never answer.
func (i *Inspector) executable(ctx context.Context, dir *procDir, who engine.Identity) (executable, error) {
	type result struct {
		exe executable
		err error
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(i.Timeout, DefaultTimeout))
	defer cancel()
	done := make(chan result, 1)
	go func() {
		exe, err := i.look(ctx, dir, who)
		done <- result{exe, err}
	}()
	select {
	case r := <-done:
		return r.exe, r.err
	case <-ctx.Done():
		return executable{}, fmt.Errorf("it could not be read in %s", cmp.Or(i.Timeout, DefaultTimeout))
	}
}
