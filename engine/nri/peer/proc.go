package peer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// procDir is the opened directory /proc/PID. What is read from it is of the
// process that was there when it was opened, or an error.
type procDir struct{ file *os.File }

func openProc(pid int) (*procDir, error) {
	f, err := os.OpenFile("/proc/"+strconv.Itoa(pid), os.O_RDONLY|unix.O_DIRECTORY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("process %d: %w", pid, ErrExited)
	}
	if err != nil {
		return nil, err
	}
	return &procDir{f}, nil
}

func (d *procDir) close() error {
	if d == nil {
		return nil
	}
	return d.file.Close()
}

// at calls a function with the directory's descriptor.
func (d *procDir) at(op, name string, call func(dir int) error) error {
	if err := control(d.file, call); err != nil {
		return &os.PathError{Op: op, Path: d.file.Name() + "/" + name, Err: err}
	}
	return nil
}

func (d *procDir) open(name string) (*os.File, error) {
	fd := -1
	err := d.at("open", name, func(dir int) (err error) {
		fd, err = unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), d.file.Name()+"/"+name), nil
}

// readlink returns an error for a link that is longer than a path can be.
func (d *procDir) readlink(name string) (string, error) {
	b := make([]byte, unix.PathMax+len(" (deleted)"))
	n := 0
	err := d.at("readlink", name, func(dir int) (err error) {
		if n, err = unix.Readlinkat(dir, name, b); n == len(b) {
			err = unix.ENAMETOOLONG
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return string(b[:n]), nil
}

// maxProcFile bounds what is read of a file in /proc.
const maxProcFile = 1 << 20

func (d *procDir) read(name string) ([]byte, error) {
	f, err := d.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it is only read
	return io.ReadAll(io.LimitReader(f, maxProcFile))
}

// startTime is when the process started, in clock ticks since boot.
func (d *procDir) startTime() (uint64, error) {
	b, err := d.read("stat")
	if err != nil {
		return 0, err
	}
	return parseStartTime(b)
}

// startField is the position of the start time in /proc/PID/stat, counted from
// the state, which follows the name; proc_pid_stat(5) counts from the process id.
const startField = 22 - 3

// parseStartTime reads /proc/PID/stat. The second field is the name in parentheses
// and may hold blanks and parentheses itself.
func parseStartTime(line []byte) (uint64, error) {
	end := bytes.LastIndexByte(line, ')')
	fields := bytes.Fields(line[end+1:])
	if end < 0 || len(fields) <= startField {
		return 0, errors.New("/proc/PID/stat cannot be read: it has too few fields")
	}
	start, err := strconv.ParseUint(string(fields[startField]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("/proc/PID/stat cannot be read: %w", err)
	}
	return start, nil
}

// user returns the effective user and group.
func (d *procDir) user() (uid, gid int64, err error) {
	b, err := d.read("status")
	if err != nil {
		return -1, -1, err
	}
	if uid, err = effective(string(b), "Uid:"); err != nil {
		return -1, -1, err
	}
	if gid, err = effective(string(b), "Gid:"); err != nil {
		return -1, -1, err
	}
	return uid, gid, nil
}

// effective reads a line of /proc/PID/status: real, effective, saved, of the file
// system.
func effective(status, key string) (int64, error) {
	for line := range strings.Lines(status) {
		if f := strings.Fields(line); len(f) == 5 && f[0] == key {
			return strconv.ParseInt(f[2], 10, 64)
		}
	}
	return -1, fmt.Errorf("/proc/PID/status has no line %s", key)
}
