package admin

import (
	"net"
	"slices"
	"sync"
)

// maxConnections is how many there may be at a time: whoever may connect must not be
// able to use up the files that the guard may have open.
const maxConnections = 128

// limited bounds the connections that are open. The oldest makes room for a new one:
// answering takes no time, so whoever has been there for long is not asking.
type limited struct {
	net.Listener
	mu   sync.Mutex
	open []*counted // oldest first
}

func (l *limited) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &counted{Conn: conn, listener: l}
	if oldest := l.enter(c); oldest != nil {
		_ = oldest.Close() // who is told nothing can connect again
	}
	return c, nil
}

// enter takes a connection in, and returns the one that has to go for it.
func (l *limited) enter(c *counted) (oldest *counted) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) == maxConnections {
		oldest = l.open[0]
	}
	l.open = append(l.open, c)
	return oldest
}

// counted is a connection that has a place until it is closed.
type counted struct {
	net.Conn
	listener *limited
}

func (c *counted) Close() error {
	c.listener.mu.Lock()
	c.listener.open = slices.DeleteFunc(c.listener.open, func(o *counted) bool { return o == c })
	c.listener.mu.Unlock()
	return c.Conn.Close()
}
