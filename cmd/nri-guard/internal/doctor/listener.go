package doctor

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// listening is the flag of a socket in /proc/net/unix that accepts connections.
const listening = 0x10000

// listeners finds who listens at a socket that plugins connect to. It is connected to for a
// moment, which is the only way to tell: a socket that was renamed into its place, as the
// guard's is, has another name in the kernel's table. Nothing is said on the connection. The
// guard passes over that, and so does NRI's adaptation, with a line in its log. Where there is
// no socket to connect to, the table tells who still listens under that name, to nobody's use.
// known is false where neither leads to a process.
func (n *node) listeners(socket string) (found []*process, known bool) {
	place := n.host.place(socket)
	if info, err := os.Lstat(place); err == nil && info.Mode().Type() == fs.ModeSocket {
		pid, err := answers(place)
		if errors.Is(err, unix.ECONNREFUSED) {
			return nil, true
		}
		i := slices.IndexFunc(n.processes, func(p *process) bool { return p.pid == pid })
		if err != nil || i < 0 {
			return nil, false
		}
		return n.processes[i : i+1], true
	}
	return n.named(socket)
}

// answers is the process that began to listen at a socket.
func answers(place string) (pid int, err error) {
	c, err := net.DialTimeout("unix", place, time.Second)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }() // nothing was written
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	err2 := raw.Control(func(fd uintptr) {
		var who *unix.Ucred
		if who, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(who.Pid)
		}
	})
	return pid, cmp.Or(err, err2)
}

// named finds who listens under a name in the kernel's table. More than one can.
func (n *node) named(socket string) (found []*process, known bool) {
	table, err := os.ReadFile(n.host.proc("1", "net", "unix")) // the node's own network namespace
	if err != nil {
		return nil, false
	}
	want := n.host.real(socket)
	for line := range bytes.Lines(table) {
		inode, name := socketOf(string(line))
		if name == "" || n.host.real(name) != want {
			continue
		}
		p := n.holder(inode)
		if p == nil {
			return nil, false
		}
		if !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	return found, true
}

// socketOf takes a line of /proc/net/unix apart; name is "" when nobody can connect to it.
func socketOf(line string) (inode, name string) {
	fields := strings.Fields(line)
	if len(fields) < 8 || !path.IsAbs(fields[7]) {
		return "", ""
	}
	if flags, err := strconv.ParseUint(fields[3], 16, 64); err != nil || flags&listening == 0 {
		return "", ""
	}
	return fields[6], strings.Join(fields[7:], " ")
}

// holder finds the process that has a socket open. A process that was forked from it
// may have it too; the eldest is taken.
func (n *node) holder(inode string) *process {
	want := "socket:[" + inode + "]"
	for _, p := range n.processes {
		dir := n.host.proc(strconv.Itoa(p.pid), "fd")
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && target == want {
				return p
			}
		}
	}
	return nil
}
