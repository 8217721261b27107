package peer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nri-guard/nri-guard/engine"
)

// Unreachable stands in front of the path of an executable that is another file
// on the host, or none: the process sees other mounts. The kernel writes such
// paths so in other places.
const Unreachable = "(unreachable)"

// executable is a file that runs.
type executable struct {
	path     string
	sha256   string
	dev, ino uint64
	// state is the one that the digest is of, where that was settled then, else zero.
	state stat
}

func (e executable) unknown() bool { return e == executable{} }

// same does not compare paths: a file that runs may be renamed and deleted.
func (e executable) same(o executable) bool {
	return e.dev == o.dev && e.ino == o.ino && e.sha256 == o.sha256
}

// look reads path and digest of what a process runs. A path that has been
// removed ends in " (deleted)", as the kernel has it; so may the name of a file
// that is there, which is why nothing is cut off.
func (i *Inspector) look(ctx context.Context, dir *procDir, who engine.Identity) (executable, error) {
	path, err := dir.readlink("exe")
	if err != nil {
		return executable{}, err
	}
	f, err := dir.open("exe")
	if err != nil {
		return executable{}, err
	}
	st, err := fstat(f)
	if err != nil {
		_ = f.Close()
		return executable{}, err
	}
	exe := executable{path: path, dev: st.dev, ino: st.ino}
	if !i.onHost(path, st) {
		exe.path = Unreachable + path
	}
	if err := i.worthReading(f, st); err != nil {
		_ = f.Close()
		return exe, fmt.Errorf("%s: %w", path, err)
	}
	settled := st.settled()
	if exe.sha256, err = i.digests.of(ctx, f, st, who); err == nil && settled {
		exe.state = st
	}
	return exe, err
}

// worthReading returns an error where a digest would cost too much, or says
// nothing: the program behind a FUSE mount may show the kernel one thing and the
// guard another.
func (i *Inspector) worthReading(f *os.File, st stat) error {
	if limit := cmp.Or(i.MaxExecutable, DefaultMaxExecutable); st.size > limit {
		return fmt.Errorf("it has %d bytes, and no more than %d are read", st.size, limit)
	}
	var fs unix.Statfs_t
	err := control(f, func(fd int) error { return unix.Fstatfs(fd, &fs) })
	if err == nil && fs.Type == unix.FUSE_SUPER_MAGIC {
		err = errors.New("it is on a FUSE file system, where a digest proves nothing")
	}
	return err
}

// onHost says whether the path leads to that very file on the host. That of a
// deleted one leads nowhere, and says so already.
func (i *Inspector) onHost(path string, is stat) bool {
	if strings.HasSuffix(path, " (deleted)") {
		return true
	}
	var st unix.Stat_t
	err := unix.Stat(filepath.Join(cmp.Or(i.Root, "/"), path), &st)
	if err != nil {
		return false
	}
	return st.Dev == is.dev && st.Ino == is.ino
}
