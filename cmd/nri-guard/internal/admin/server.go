package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxConnections is how many there may be at a time: whoever may connect must not be
// able to use up the files that the guard may have open.
const maxConnections = 128

// Server serves a handler.
type Server struct {
	listener net.Listener
	server   *http.Server
}

// Listen opens the address, so that one that is taken is found at the start.
func Listen(address string, handler http.Handler) (*Server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("admin address: %w", err)
	}
	return &Server{
		listener: &limited{Listener: l, slots: make(chan struct{}, maxConnections)},
		server: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: 2 * time.Second,
			ReadTimeout:       5 * time.Second,
			WriteTimeout:      15 * time.Second,
			IdleTimeout:       time.Minute,
			MaxHeaderBytes:    16 << 10,
			ErrorLog:          stdlog.New(io.Discard, "", 0), // what clients do wrong is theirs to log
		},
	}, nil
}

// Address is what was opened, with the port where any was asked for.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Run serves until ctx ends; then what is under way is answered.
func (s *Server) Run(ctx context.Context) error {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if s.server.Shutdown(ctx) != nil {
			_ = s.server.Close()
		}
	})
	err := s.server.Serve(s.listener)
	if stop() { // it ended by itself
		return fmt.Errorf("admin address: %w", err)
	}
	<-stopped
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin address: %w", err)
	}
	return nil
}

// limited accepts a connection only when there is a place for it.
type limited struct {
	net.Listener
	slots chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	l.slots <- struct{}{}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &counted{Conn: conn, leave: sync.OnceFunc(func() { <-l.slots })}, nil
}

type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
