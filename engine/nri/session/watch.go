package session

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// socketFile tells one socket at a path from the next.
type socketFile struct {
	dev, ino uint64
	ctime    unix.Timespec
}

func statSocket(path string) (socketFile, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return socketFile{}, err
	}
	return socketFile{st.Dev, st.Ino, st.Ctim}, nil
}

// watching is how often the socket is looked at.
const watching = time.Second

var errReplaced = errors.New("the runtime has made a new socket")

// watch closes the connection when another socket is where it was made. A daemon
// that starts its NRI anew may leave the old connections open, which nobody uses
// any more. What is returned has one value after the connection has been closed.
func (c *connection) watch(path string, file socketFile) <-chan error {
	result := make(chan error, 1)
	go func() {
		tick := time.NewTicker(watching)
		defer tick.Stop()
		for {
			select {
			case <-c.closed:
				result <- nil
				return
			case <-tick.C:
			}
			if now, err := statSocket(path); err == nil && (now.dev != file.dev || now.ino != file.ino || now.ctime != file.ctime) {
				c.close()
				result <- errReplaced
				return
			}
		}
	}()
	return result
}
