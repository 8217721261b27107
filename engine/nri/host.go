package nri

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	securejoin "github.com/cyphar/filepath-securejoin"
	"golang.org/x/sys/unix"
)

// host looks at the file system of the host, below root.
type host struct{ root string }

// unresolved stands for a place that cannot be told: as it contains everything,
// no policy that guards anything lets it pass.
const unresolved = "/"

// resolve follows the symbolic links in an absolute path of the host, as far as
// the path exists, and returns where it leads. Relative paths count from a
// directory that only the runtime knows, and links below /proc lead to where only
// the process that follows them gets: they are unresolved and /proc.
func (h host) resolve(p string) string {
	if !path.IsAbs(p) {
		return unresolved
	}
	root := h.root
	if root == "" {
		root = "/"
	}
	if h.withoutLinks(p) {
		return p
	}
	links := &linkReader{proc: filepath.Join(root, "proc")}
	full, err := securejoin.SecureJoinVFS(root, p, links)
	switch {
	case err != nil:
		return unresolved
	case links.magic:
		return "/proc"
	}
	rel, err := filepath.Rel(root, full)
	if err != nil {
		return unresolved
	}
	return path.Clean("/" + rel)
}

// withoutLinks says whether an absolute path is clean and has no symbolic link in
// it. Most have none, and then there is nothing to follow.
func (h host) withoutLinks(p string) bool {
	if path.Clean(p) != p {
		return false
	}
	root := strings.TrimSuffix(h.root, "/")
	for i := 1; i <= len(p); i++ {
		if i < len(p) && p[i] != '/' {
			continue
		}
		var st unix.Stat_t
		switch err := unix.Lstat(root+p[:i], &st); {
		case err == unix.ENOENT:
			return true // nothing below can be a link
		case err != nil || st.Mode&unix.S_IFMT == unix.S_IFLNK:
			return false
		}
	}
	return true
}

// linkReader reads the host's links and remembers whether one was below /proc.
type linkReader struct {
	proc  string
	magic bool
}

func (l *linkReader) Lstat(name string) (fs.FileInfo, error) { return os.Lstat(name) }

func (l *linkReader) Readlink(name string) (string, error) {
	l.magic = l.magic || strings.HasPrefix(filepath.Clean(name), l.proc+"/")
	return os.Readlink(name)
}

// maxNodes bounds how many entries of /dev are looked at for one device.
const maxNodes = 20000

// nodes lists the device nodes below the host's /dev that have the given type and
// numbers, sorted.
func (h host) nodes(kind string, major, minor int64) []string {
	var want uint32
	switch kind {
	case "c", "u":
		want = unix.S_IFCHR
	case "b":
		want = unix.S_IFBLK
	default:
		return nil
	}
	root := filepath.Join("/", h.root)
	var found []string
	seen := 0
	_ = filepath.WalkDir(filepath.Join(root, "dev"), func(name string, entry fs.DirEntry, err error) error {
		if seen++; seen > maxNodes {
			return fs.SkipAll
		}
		if err != nil || entry.Type()&fs.ModeDevice == 0 {
			return nil // a directory that cannot be read hides nodes, it adds none
		}
		info, err := entry.Info()
		if err != nil {
			return nil
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if ok && st.Mode&unix.S_IFMT == want &&
			int64(unix.Major(uint64(st.Rdev))) == major && int64(unix.Minor(uint64(st.Rdev))) == minor {
			rel, _ := filepath.Rel(root, name)
			found = append(found, "/"+rel)
		}
		return nil
	})
	return found
}
