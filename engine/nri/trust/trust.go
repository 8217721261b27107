// Package trust finds files that others may write.
//
// What decides must not be for everybody to change: a policy in a directory that any
// user may write is no policy. The rule is that of sshd's strict modes: the file, and
// every directory on the way to it from the root, symbolic links included, belongs to
// root or to whoever runs the program, and neither group nor others may write it. Two
// things are let through that cannot be abused: on the way, directories with the sticky
// bit, such as /tmp, in which nobody can replace what belongs to others; and what is
// mounted read-only, as Kubernetes mounts its ConfigMaps, with mode 0777.
package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links may be on the way to a file, as on Linux.
const maxLinks = 40

// Checker checks files. It remembers what it has found to be safe, so one is made
// for each reading of the configuration. It is not safe for concurrent use.
type Checker struct {
	// Root is the directory that paths, and absolute symbolic links, start at: that of
	// another file system than one's own. Nothing above it is checked. "" is /.
	Root string

	safe map[string]bool
}

// on is where a path of the file system that is checked is found.
func (c *Checker) on(path string) string { return filepath.Join(c.Root, path) }

// Path returns an error when others than root and the caller may write or replace
// what path names. Of what does not exist, the directories on the way that do are
// checked.
func (c *Checker) Path(path string) error {
	_, err := c.resolve(path)
	return err
}

// Dir is Path for a directory to which others may add nothing, whatever it holds
// already.
func (c *Checker) Dir(path string) error {
	dir, err := c.resolve(path)
	if err == nil && c.open(dir) {
		err = addable(dir)
	}
	return err
}

// Tree is Path for a file or directory and everything below it: others may add nothing
// there either. Symbolic links below are followed to what they name, but not into
// directories.
func (c *Checker) Tree(path string) error {
	root, err := c.resolve(path)
	if err != nil {
		return err
	}
	return filepath.WalkDir(c.on(root), func(p string, entry fs.DirEntry, err error) error {
		p = filepath.Join("/", strings.TrimPrefix(p, c.Root))
		switch {
		case p == root && errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case entry.IsDir() && c.open(p):
			return addable(p)
		}
		return c.Path(p)
	})
}

// Resolve is Path for a file that is there, and returns its path without symbolic
// links.
func (c *Checker) Resolve(path string) (string, error) {
	real, err := c.resolve(path)
	if err != nil {
		return "", err
	}
	_, err = os.Lstat(c.on(real))
	return real, err
}

// resolve checks every component of a path, and returns the path without symbolic
// links.
func (c *Checker) resolve(path string) (string, error) {
	if !filepath.IsAbs(path) {
		wd, err := os.Getwd()
		if err != nil {
			return "", err
		}
		path = wd + "/" + path
	}
	at, rest := "/", split(path)
	if err := c.component(at); err != nil {
		return "", err
	}
	for links := 0; len(rest) > 0; {
		at, rest = filepath.Join(at, rest[0]), rest[1:]
		target, err := os.Readlink(c.on(at))
		switch {
		case errors.Is(err, fs.ErrNotExist) && c.open(filepath.Dir(at)):
			return "", fmt.Errorf("others may make it: %s does not exist, and everybody may write its directory; make it first", at)
		case errors.Is(err, fs.ErrNotExist):
			return filepath.Join(append([]string{at}, rest...)...), nil
		case err != nil && !errors.Is(err, syscall.EINVAL): // EINVAL: it is no link
			return "", err
		}
		if err := c.component(at); err != nil {
			return "", err
		}
		if target == "" {
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: too many symbolic links", path)
		}
		if at = filepath.Dir(at); filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(split(target), rest...)
	}
	return at, nil
}

// split takes a path apart. Dots stay: what .. means depends on the links before it.
func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// component checks one file, directory or link.
func (c *Checker) component(path string) error {
	if c.safe[path] {
		return nil
	}
	info, err := os.Lstat(c.on(path))
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: its owner cannot be told", path)
	}
	if uid := int(stat.Uid); uid != 0 && uid != os.Geteuid() {
		return fmt.Errorf("others may write it: %s belongs to user %d; run chown root on it", path, uid)
	}
	if writable(info) && !readOnly(c.on(path)) {
		return fmt.Errorf("others may write it: %s has mode %s; run chmod go-w on it", path, info.Mode())
	}
	if c.safe == nil {
		c.safe = map[string]bool{}
	}
	c.safe[path] = true
	return nil
}

// writable says whether group or others may write a file, or put something in a
// directory in the place of what belongs to somebody else. The mode of a symbolic
// link means nothing.
func writable(info fs.FileInfo) bool {
	mode := info.Mode()
	switch {
	case mode&fs.ModeSymlink != 0:
		return false
	case mode.IsDir() && mode&fs.ModeSticky != 0:
		return false
	}
	return mode.Perm()&0o022 != 0
}

// open says whether others may put files into a directory, sticky or not.
func (c *Checker) open(dir string) bool {
	dir = c.on(dir)
	info, err := os.Stat(dir)
	return err == nil && info.Mode().Perm()&0o022 != 0 && !readOnly(dir)
}

func addable(dir string) error {
	return fmt.Errorf("others may add to it: %s is writable for more than its owner; run chmod go-w on it", dir)
}

// readOnly says whether a file is on a mount that is read-only.
func readOnly(path string) bool {
	var s unix.Statfs_t
	return unix.Statfs(path, &s) == nil && s.Flags&unix.ST_RDONLY != 0
}
