package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/containerd/log"
	"golang.org/x/sys/unix"
)

// socketFile tells one socket at a path from the next.
type socketFile struct {
	dev, ino uint64
	ctime    unix.Timespec
}

func statSocket(path string) (socketFile, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return socketFile{}, err
	}
	return socketFile{st.Dev, st.Ino, st.Ctim}, nil
}

// dial connects to a socket and tells which file that was, and which process
// listens there.
func dial(ctx context.Context, path string) (c net.Conn, file socketFile, listener int32, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("waiting for the runtime: %w", err)
		}
	}()
	if file, err = statSocket(path); err != nil {
		return nil, file, 0, err
	}
	if c, err = new(net.Dialer).DialContext(ctx, "unix", path); err != nil {
		return nil, file, 0, err
	}
	if listener, err = peerPID(c); err != nil {
		_ = c.Close()
	}
	return c, file, listener, err
}

func peerPID(c net.Conn) (int32, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return 0, errors.New("it is no unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, credErr); err != nil {
		return 0, err
	}
	return cred.Pid, nil
}

// watching is how often the socket is looked at.
const watching = time.Second

var errReplaced = errors.New("the runtime has made a new socket")

// watch closes the connection when the process at its other end has made a new
// socket: a daemon that starts its NRI anew may leave the old connections open,
// which nobody uses any more. When the new one is another process's, the runtime
// that is connected would go unguarded; then there is a word about it and nothing
// else. What is returned has one value after the connection has been closed.
func (c *connection) watch(ctx context.Context, file socketFile, listener int32) <-chan error {
	result := make(chan error, 1)
	go func() {
		tick := time.NewTicker(watching)
		defer tick.Stop()
		for {
			select {
			case <-c.closed:
				result <- nil
				return
			case <-tick.C:
			}
			if now, err := statSocket(c.session.cfg.Socket); err != nil || now == file {
				continue
			}
			probe, now, pid, err := dial(ctx, c.session.cfg.Socket)
			if err != nil {
				continue // nobody listens there yet
			}
			_ = probe.Close()
			if pid == listener {
				c.close()
				result <- errReplaced
				return
			}
			file = now
			log.G(ctx).Warnf("process %d has taken the socket of the runtime, which is process %d and is still guarded; the other one is not: "+
				"give each runtime a socket of its own", pid, listener)
		}
	}()
	return result
}
