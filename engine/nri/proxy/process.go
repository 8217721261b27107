package proxy

import (
	"net"

	"golang.org/x/sys/unix"
)

// process is whose a connection is, as far as that counts for what it may cost: its
// number, 0 where it is not known, and its user.
type process struct {
	pid int
	uid int64
}

// processOf returns whose a connection is, before anything else is found out.
func processOf(conn *net.UnixConn) process {
	who := process{uid: -1}
	raw, err := conn.SyscallConn()
	if err != nil {
		return who
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			who = process{pid: max(0, int(cred.Pid)), uid: int64(cred.Uid)}
		}
	})
	return who
}
