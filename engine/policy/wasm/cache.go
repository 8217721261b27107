package wasm

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// checkCache says why a directory must not hold machine code that is going to be
// run: somebody else could put something there, or in its place. A directory that
// does not exist is made.
func checkCache(dir string) error {
	if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir {
		return fmt.Errorf("cache of machine code %q: the path must be absolute, with neither . nor .. in it", dir)
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return fmt.Errorf("cache of machine code: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("cache of machine code: %w", err)
	}
	switch uid, known := owner(info); {
	case info.Mode()&os.ModeSymlink != 0:
		return fmt.Errorf("cache of machine code %s: is a symbolic link; name the directory itself", dir)
	case !info.IsDir():
		return fmt.Errorf("cache of machine code %s: is no directory", dir)
	case !known || uid != os.Geteuid():
		return fmt.Errorf("cache of machine code %s: must belong to the user that the guard runs as (%d)", dir, os.Geteuid())
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("cache of machine code %s: has mode %04o and must be closed to everybody but its owner (0700)", dir, info.Mode().Perm())
	}
	return checkAbove(filepath.Dir(dir))
}

// checkAbove holds that nobody else can replace a directory by another.
func checkAbove(dir string) error {
	for {
		info, err := os.Lstat(dir)
		if err != nil {
			return fmt.Errorf("cache of machine code: %w", err)
		}
		uid, known := owner(info)
		if info.Mode()&os.ModeSymlink != 0 {
			return fmt.Errorf("cache of machine code: %s is a symbolic link; name the directory that it leads to", dir)
		}
		if !known || uid != 0 && uid != os.Geteuid() {
			return fmt.Errorf("cache of machine code: %s, above it, belongs to user %d", dir, uid)
		}
		if info.Mode().Perm()&0o022 != 0 && info.Mode()&os.ModeSticky == 0 {
			return fmt.Errorf("cache of machine code: %s, above it, has mode %04o, so that others can replace it", dir, info.Mode().Perm())
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
		dir = filepath.Dir(dir)
	}
}

// owner returns the user that a file belongs to.
func owner(info os.FileInfo) (uid int, known bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(s.Uid), true
}
