package proxy

import (
	"net"

	"github.com/nri-guard/nri-guard/engine/nri/peer"
)

// process is whose a connection is, as far as that counts for what it may cost: its
// number, 0 where it is not known, and its user.
type process struct {
	pid int
	uid int64
}

// processOf returns whose a connection is.
func processOf(conn *net.UnixConn) process {
	pid, uid := peer.Owner(conn)
	return process{pid, uid}
}
