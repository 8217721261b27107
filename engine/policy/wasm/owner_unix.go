//go:build unix

package wasm

import (
	"os"
	"syscall"
)

// owner returns the user that a file belongs to.
func owner(info os.FileInfo) (uid int, known bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(s.Uid), true
}
