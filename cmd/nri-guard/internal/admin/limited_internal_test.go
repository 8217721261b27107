package admin

import (
	"net"
	"testing"
	"time"
)

// TestLimited: whoever has been connected longest makes room, and nobody else.
func TestLimited(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &limited{Listener: inner}
	t.Cleanup(func() { _ = l.Close() })
	connect := func() (client, server net.Conn) {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		if server, err = l.Accept(); err != nil {
			t.Fatal(err)
		}
		return client, server
	}
	var servers []net.Conn
	for range maxConnections {
		_, server := connect()
		servers = append(servers, server)
	}
	_ = servers[5].Close() // by itself: there is a place
	connect()
	if open(t, servers[0]); len(l.open) != maxConnections {
		t.Errorf("%d are open", len(l.open))
	}
	connect()
	if len(l.open) != maxConnections {
		t.Errorf("%d are open", len(l.open))
	}
	if _, err := servers[0].Write([]byte("x")); err == nil {
		t.Error("the oldest is open")
	}
	open(t, servers[1])
	_ = servers[0].Close() // again, as the server does
	if len(l.open) != maxConnections {
		t.Errorf("%d are open after one was closed twice", len(l.open))
	}
}

func open(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("x")); err != nil {
		t.Errorf("one that should stay is closed: %v", err)
	}
}
