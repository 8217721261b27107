package audit

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	lumberjack "gopkg.in/natefinch/lumberjack.v2"
)

// file is a log file that is rotated. It looks at its path before each write:
// lumberjack alone would go on writing to a file that somebody has moved or
// removed, rename whatever stands at the path, even a device, and make a
// directory that has gone anew, readable for all.
type file struct {
	rotated *lumberjack.Logger
	// current is the file last written to.
	current os.FileInfo
	lines   lines
}

func openFile(c Config) (*file, error) {
	if err := os.MkdirAll(filepath.Dir(c.Path), 0o700); err != nil {
		return nil, fmt.Errorf("decision log: %w", err)
	}
	rotated := &lumberjack.Logger{
		Filename:   c.Path,
		MaxSize:    cmp.Or(c.MaxSize, DefaultMaxSize),
		MaxBackups: max(cmp.Or(c.MaxBackups, DefaultMaxBackups), 0), // none is lumberjack's word for all
		MaxAge:     c.MaxAge,
		Compress:   c.Compress,
	}
	f := &file{rotated: rotated, lines: lines{to: rotated}}
	// Nothing is written, but the file is opened: what would fail then fails now.
	if err := f.write(nil); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *file) write(line []byte) error {
	if err := f.follow(); err != nil {
		return fmt.Errorf("decision log: %w", err)
	}
	if err := f.lines.write(line); err != nil {
		return err
	}
	if f.current != nil {
		return nil
	}
	info, err := os.Lstat(f.rotated.Filename)
	if err != nil {
		return fmt.Errorf("decision log: %w", err)
	}
	f.current = info
	return nil
}

// follow makes sure that the next write goes to the file at the path.
func (f *file) follow() error {
	path := f.rotated.Filename
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return err
		}
		return f.reopen(false)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file", path)
	case f.current == nil || !os.SameFile(info, f.current):
		return f.reopen(!endsLine(path, info.Size()))
	}
	return nil
}

func (f *file) reopen(torn bool) error {
	f.current = nil
	f.lines.torn = torn
	return f.rotated.Close()
}

func (f *file) close() error { return f.rotated.Close() }

// endsLine says whether the file ends with a whole line. Where that cannot be
// read the answer is no, which costs an empty line.
func endsLine(path string, size int64) bool {
	if size == 0 {
		return true
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // only read from
	last := make([]byte, 1)
	_, err = f.ReadAt(last, size-1)
	return err == nil && last[0] == '\n'
}
