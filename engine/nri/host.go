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
type host struct {
	root string
	// review is what is remembered while one review is made; nil is nothing.
	review *lookups
}

// lookups bounds what is looked up for one review, and saves some.
type lookups struct {
	left  int    // components of paths that may still be looked up
	plain string // the last path, as far as it exists, that has no symbolic link in it
	none  string // the last path that was found not to exist, behind such a one
}

// maxComponents bounds what is looked up for one review: each component costs a
// system call, and more the deeper it is.
const maxComponents = 1 << 15

// spend takes a path's components from what is left, and says whether that was
// enough.
func (h host) spend(p string) bool {
	if h.review == nil {
		return true
	}
	h.review.left -= strings.Count(p, "/")
	return h.review.left >= 0
}

// exhausted says whether something was left out.
func (h host) exhausted() bool { return h.review != nil && h.review.left < 0 }

// unresolved stands for a place that cannot be told: as it contains everything,
// no policy that guards anything lets it pass.
const unresolved = "/"

// resolve follows the symbolic links in an absolute path of the host, as far as
// the path exists, and returns where it leads. Relative paths count from a
// directory that only the runtime knows, and links below /proc lead to where only
// the process that follows them gets: they are unresolved and /proc.
func (h host) resolve(p string) string {
	if !path.IsAbs(p) || !h.spend(p) {
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
	if h.missing(p) {
		return true
	}
	root := strings.TrimSuffix(h.root, "/")
	for i := h.known(p); i <= len(p); i++ {
		if i < len(p) && p[i] != '/' {
			continue
		}
		var st unix.Stat_t
		switch err := unix.Lstat(root+p[:i], &st); {
		case err == unix.ENOENT:
			if h.review != nil {
				h.review.none = p[:i]
			}
			return true // nothing below can be a link
		case err != nil || st.Mode&unix.S_IFMT == unix.S_IFLNK:
			return false
		}
		if h.review != nil {
			h.review.plain = p[:i]
		}
	}
	return true
}

// missing says of a path that it is known not to exist.
func (h host) missing(p string) bool {
	return h.review != nil && h.review.none != "" && (p == h.review.none || below(p, h.review.none))
}

// known is behind the last component of a path of which it is known that neither it
// nor one before it is a link: mounts of one container lie close to each other.
func (h host) known(p string) int {
	if h.review == nil {
		return 1
	}
	last, i := h.review.plain, 0
	for i < len(p) && i < len(last) && p[i] == last[i] {
		i++
	}
	if i == len(last) && (i == len(p) || i < len(p) && p[i] == '/') {
		return i + 1
	}
	return strings.LastIndexByte(p[:i], '/') + 1
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

// maxNodes bounds how many entries of /dev are looked at.
const maxNodes = 20000

// deviceNumber is what a device node stands for.
type deviceNumber struct {
	mode         uint32 // unix.S_IFCHR or unix.S_IFBLK
	major, minor int64
}

// deviceNodes are the nodes below the host's /dev, read when they are first asked
// for.
type deviceNodes struct{ paths map[deviceNumber][]string }

// of lists the device nodes that have the given type and numbers, sorted.
func (n *deviceNodes) of(h host, kind string, major, minor int64) []string {
	var mode uint32
	switch kind {
	case "c", "u":
		mode = unix.S_IFCHR
	case "b":
		mode = unix.S_IFBLK
	default:
		return nil
	}
	if n.paths == nil {
		n.paths = h.nodes()
	}
	return n.paths[deviceNumber{mode, major, minor}]
}

func (h host) nodes() map[deviceNumber][]string {
	paths := map[deviceNumber][]string{}
	root := filepath.Join("/", h.root)
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
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			number := deviceNumber{st.Mode & unix.S_IFMT, int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))}
			rel, _ := filepath.Rel(root, name)
			paths[number] = append(paths[number], "/"+rel)
		}
		return nil
	})
	return paths
}
