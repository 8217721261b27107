package proxy

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nri-guard/nri-guard/engine/nri/internal/socket"
)

// The unit leaves root CAP_CHOWN and takes CAP_FOWNER, without which nobody changes the
// mode of what has been given away.
func TestSocketIsGivenAwayLast(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a socket away")
	}
	path := filepath.Join(t.TempDir(), "nri.sock")
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and ends with its thread, which has less than the others
		failed <- func() error {
			if err := withoutOwner(); err != nil {
				return err
			}
			l := &listener{place: socket.New(path)}
			if err := l.open(t.Context(), Socket{UID: 65534, GID: 65533, Mode: 0o660}); err != nil {
				return err
			}
			return l.net.Close()
		}()
	}()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := info.Sys().(*syscall.Stat_t); s.Uid != 65534 || s.Gid != 65533 || info.Mode() != fs.ModeSocket|0o660 {
		t.Errorf("it is %s and belongs to %d:%d", info.Mode(), s.Uid, s.Gid)
	}
}

// withoutOwner takes CAP_FOWNER from this thread.
func withoutOwner() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1 << unix.CAP_FOWNER
	return unix.Capset(&header, &data[0])
}

// Whom the socket is for gets through the directory that is made for it; one that is there
// is left alone.
func TestSocketDirectory(t *testing.T) {
	before := syscall.Umask(0o077) // as under the unit
	defer syscall.Umask(before)
	for name, c := range map[string]struct {
		socket Socket
		there  fs.FileMode
		want   fs.FileMode
	}{
		"the owner's":       {Socket{Mode: 0o600}, 0, 0o700},
		"a user's":          {Socket{Mode: 0o600, UID: 65534}, 0, 0o755},
		"a group's":         {Socket{Mode: 0o600, GID: 65534}, 0, 0o755},
		"the owner's group": {Socket{Mode: 0o660}, 0, 0o755},
		"there already":     {Socket{Mode: 0o660}, 0o710, 0o710},
	} {
		dir := filepath.Join(t.TempDir(), "nri")
		if c.there != 0 {
			if err := errors.Join(os.Mkdir(dir, c.there), os.Chmod(dir, c.there)); err != nil {
				t.Fatal(err)
			}
		}
		c.socket.Path = filepath.Join(dir, "nri.sock")
		if err := errors.Join(c.socket.makeDir(), socket.New(c.socket.Path).Check()); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != c.want {
			t.Errorf("%s: mode %o, want %o", name, got, c.want)
		}
	}
}
