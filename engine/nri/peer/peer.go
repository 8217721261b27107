package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/nri-guard/nri-guard/engine"
)

// ErrUnknown is wrapped by errors that say why nothing can be known of who is at
// the other end.
var ErrUnknown = errors.New("the peer's identity is unknown")

// Errors that [Peer.Verify] wraps.
var (
	// ErrExited says that the process which connected is no more.
	ErrExited = errors.New("the process has exited")
	// ErrReplaced says that the process runs another executable than before.
	ErrReplaced = errors.New("the process runs another executable")
)

// Peer is a process that is being held on to. It is safe for concurrent use.
type Peer struct {
	inspector *Inspector
	pidfd     *os.File
	dir       *procDir
	start     uint64
	identity  engine.Identity
	exe       executable
	gaps      []string
}

// Identity is what was observed when the peer was made. What could not be
// observed is empty, and so matches nothing; see [Peer.Gaps].
func (p *Peer) Identity() engine.Identity { return p.identity }

// Gaps say what could not be observed, and why. It is sorted.
func (p *Peer) Gaps() []string { return slices.Clone(p.gaps) }

// Close lets go of the process.
func (p *Peer) Close() error { return errors.Join(p.pidfd.Close(), p.dir.close()) }

// Verify returns an error unless the process is still the same one, and still
// runs the same executable. It takes a moment where that file has been touched
// since: then it is read again, within the inspector's bounds.
func (p *Peer) Verify() error {
	if err := p.alive(); err != nil {
		return err
	}
	if p.exe.unknown() {
		return nil // there is nothing to compare with, and nothing was claimed
	}
	if p.untouched() {
		return p.alive()
	}
	now, err := p.inspector.executable(context.Background(), p.dir, p.identity)
	if err != nil && (p.exe.sha256 != "" || now.unknown()) {
		if gone := p.alive(); gone != nil {
			return gone
		}
		return fmt.Errorf("process %d: %w", p.identity.PID, err)
	}
	if !now.same(p.exe) {
		return fmt.Errorf("process %d ran %s (sha256 %s), now it runs %s (sha256 %s): %w",
			p.identity.PID, p.exe.path, p.exe.sha256, now.path, now.sha256, ErrReplaced)
	}
	return p.alive()
}

// untouched says whether the process runs a file that nobody has touched since it
// was hashed.
func (p *Peer) untouched() bool {
	if p.exe.state == (stat{}) {
		return false
	}
	f, err := p.dir.open("exe")
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // only looked at
	st, err := fstat(f)
	return err == nil && st == p.exe.state
}

// alive asks the pidfd, and then whether the directory is of the same process.
func (p *Peer) alive() error {
	exited, err := readable(p.pidfd)
	if err != nil {
		return fmt.Errorf("process %d: %w", p.identity.PID, err)
	}
	if exited {
		return fmt.Errorf("process %d: %w", p.identity.PID, ErrExited)
	}
	start, err := p.dir.startTime()
	if err != nil || start != p.start {
		return fmt.Errorf("process %d: %w", p.identity.PID, ErrExited)
	}
	return nil
}

// readable says whether a descriptor can be read from, which a pidfd can when its
// process has exited.
func readable(f *os.File) (is bool, err error) {
	err = control(f, func(fd int) error {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		_, err := unix.Poll(fds, 0)
		is = fds[0].Revents != 0
		return err
	})
	return is, err
}

// control calls a function with a file's descriptor, which stays open so long, and
// again when a signal interrupted it.
func control(f *os.File, call func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	err = raw.Control(func(fd uintptr) {
		for {
			if callErr = call(int(fd)); !errors.Is(callErr, unix.EINTR) {
				return
			}
		}
	})
	return errors.Join(err, callErr)
}
