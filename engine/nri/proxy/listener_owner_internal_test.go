package proxy

import (
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
