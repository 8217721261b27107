package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"time"
)

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
	s := &Server{
		listener: &limited{Listener: l},
		server: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: 2 * time.Second,
			ReadTimeout:       5 * time.Second,
			WriteTimeout:      15 * time.Second,
			MaxHeaderBytes:    16 << 10,
			ErrorLog:          stdlog.New(io.Discard, "", 0), // what clients do wrong is theirs to log
		},
	}
	// Who has been answered has no business here any more.
	s.server.SetKeepAlivesEnabled(false)
	return s, nil
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
