package doctor

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"
)

// maxFile bounds a file that is read whole. Configuration files are far smaller.
const maxFile = 4 << 20

// host is a node's file system, below root. Paths are the node's: symbolic links are
// followed below root and never out of it.
type host struct{ root string }

// place is where a path of the node is on this machine. Its last component is
// followed too.
func (h host) place(p string) string {
	full, err := securejoin.SecureJoin(h.root, p)
	if err != nil {
		return filepath.Join(h.root, p) // too many links: opening it fails with the same words
	}
	return full
}

// real is a path of the node without symbolic links, as far as it exists, so that two
// names of one place compare equal: /var/run is /run on most nodes.
func (h host) real(p string) string {
	if p == "" {
		return ""
	}
	rel, err := filepath.Rel(h.root, h.place(p))
	if err != nil {
		return path.Clean(p)
	}
	return path.Join("/", rel)
}

// same says whether two paths name the same place.
func (h host) same(a, b string) bool { return a != "" && b != "" && h.real(a) == h.real(b) }

// within says whether a path is below a directory, or is it.
func (h host) within(p, dir string) bool {
	p, dir = h.real(p), h.real(dir)
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

func (h host) read(p string) ([]byte, error) {
	info, err := h.stat(p)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, &fs.PathError{Op: "read", Path: p, Err: fs.ErrInvalid}
	}
	data, err := os.ReadFile(h.place(p))
	return data, h.named(p, err)
}

func (h host) stat(p string) (fs.FileInfo, error) {
	info, err := os.Stat(h.place(p))
	return info, h.named(p, err)
}

func (h host) exists(p string) bool {
	_, err := h.stat(p)
	return err == nil
}

func (h host) list(p string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(h.place(p))
	return entries, h.named(p, err)
}

// named puts the node's name of a file into an error, in place of this machine's.
func (h host) named(p string, err error) error {
	if e, ok := err.(*fs.PathError); ok { //nolint:errorlint // os returns it unwrapped
		return &fs.PathError{Op: e.Op, Path: p, Err: e.Err}
	}
	return err
}

// glob is filepath.Glob for the last component of a path, which is where the runtimes'
// own configurations have their pattern.
func (h host) glob(pattern string) []string {
	dir, last := path.Split(pattern)
	if !strings.ContainsAny(last, "*?[") {
		return []string{pattern}
	}
	entries, err := h.list(dir)
	if err != nil {
		return nil
	}
	var found []string
	for _, e := range entries {
		if ok, _ := path.Match(last, e.Name()); ok { // a malformed pattern matches nothing, as in the runtime
			found = append(found, path.Join(dir, e.Name()))
		}
	}
	return found
}

// executables lists the files of a directory that a runtime would launch as plugins:
// those that anybody may execute. Links are not followed, as NRI does not.
func (h host) executables(dir string) []string {
	entries, err := h.list(dir)
	if err != nil {
		return nil
	}
	var found []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || e.IsDir() || info.Mode().Perm()&0o111 == 0 {
			continue
		}
		found = append(found, path.Join(dir, e.Name()))
	}
	return found
}
