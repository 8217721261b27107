package watch

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// maxLinks is how many symbolic links are followed on the way to a file, as Linux
// does.
const maxLinks = 40

// Stamp says how files are: which they are, whose, how large, and when they were last
// changed. Its zero value has no files.
type Stamp struct {
	paths []string
	// files has what there is to say of each file, link and directory.
	files map[string]string
	// dirs are the directories in which something could be replaced.
	dirs map[string]bool
}

// Add takes note of how a file, or a directory with everything below it, is now. It
// is to be called before the file is read. A path that does not exist is waited for.
func (s *Stamp) Add(path string) {
	path, err := filepath.Abs(path)
	if err != nil || slices.Contains(s.paths, path) {
		return
	}
	if s.files == nil {
		s.files, s.dirs = map[string]string{}, map[string]bool{}
	}
	s.paths = append(s.paths, path)
	_ = filepath.WalkDir(s.follow(path), func(p string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // it has been noted that it is not there, or cannot be read
		}
		if entry.IsDir() {
			s.dirs[p] = true
		}
		s.follow(p)
		return nil
	})
}

// again returns the same paths' stamp of now.
func (s *Stamp) again() *Stamp {
	now := &Stamp{}
	for _, p := range s.paths {
		now.Add(p)
	}
	return now
}

func (s *Stamp) equal(o *Stamp) bool { return maps.Equal(s.files, o.files) }

// follow notes a path and every symbolic link on the way, and returns where it leads.
func (s *Stamp) follow(path string) string {
	at, rest := "/", strings.Split(path[1:], "/")
	for links := 0; len(rest) > 0; {
		at, rest = filepath.Join(at, rest[0]), rest[1:]
		target, err := os.Readlink(at)
		if err != nil { // no link, or nothing
			if _, err := os.Lstat(at); err != nil {
				s.note(at)
				return at
			}
			continue
		}
		s.note(at)
		if links++; links > maxLinks {
			return at // links in a circle lead nowhere
		}
		if at = filepath.Dir(at); filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	s.note(at)
	return at
}

// note takes note of one file. Of a directory the times are left out: they change
// with anything that is put into it.
func (s *Stamp) note(path string) {
	s.dirs[filepath.Dir(path)] = true
	info, err := os.Lstat(path)
	if err != nil {
		s.files[path] = "missing"
		return
	}
	text := info.Mode().String()
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		text = fmt.Sprint(text, stat.Dev, stat.Ino, stat.Uid, stat.Gid)
		if !info.IsDir() {
			text = fmt.Sprint(text, stat.Size, stat.Mtim, stat.Ctim)
		}
	}
	s.files[path] = text
}
