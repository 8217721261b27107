package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"

	"github.com/nri-guard/nri-guard/engine"
)

// Config says what to keep registered, and where.
type Config struct {
	// Socket is the path of the runtime's socket; "" is NRI's default,
	// /var/run/nri/nri.sock.
	Socket string
	// Name and Index to register under. Both must be given.
	Name, Index string
	// Plugin handles requests: it is subscribed to what it has the methods for that
	// NRI's stub knows. It is used by one connection after the other.
	Plugin any
	// FailurePolicy is what a runtime that knows such shall do when the plugin does
	// not answer; nil for NRI's default.
	FailurePolicy *api.FailurePolicy
	// Spare are events that the plugin can do without. They are left out where the runtime
	// may be older than NRI 0.10, which refuses plugins for events that it does not know.
	Spare api.EventMask
	// Configured is called, where it is set, with what the runtime says of itself,
	// before the first other request of a connection.
	Configured func(*api.ConfigureRequest)
}

// Status says how a session stands.
type Status struct {
	// Connected is set while the plugin is registered, configured and synchronised.
	Connected bool
	// Problem is why it is not connected; "" while it is.
	Problem string
	// Since is when Connected became what it is.
	Since time.Time
	// Runtime and NRI, the version of it, are those of the last runtime connected
	// to; empty before, and NRI where the runtime does not tell.
	Runtime engine.Runtime
	NRI     string
}

// Session is made by [New]. It is safe for concurrent use.
type Session struct {
	cfg Config

	mu      sync.Mutex
	status  Status
	current *connection // nil while there is none
}

// New checks the configuration and touches nothing.
func New(cfg Config) (*Session, error) {
	cfg.Socket = cmp.Or(cfg.Socket, api.DefaultSocketPath)
	if err := errors.Join(api.CheckPluginName(cfg.Name), api.CheckPluginIndex(cfg.Index)); err != nil {
		return nil, fmt.Errorf("NRI session: %w", err)
	}
	s := &Session{cfg: cfg, status: Status{Problem: "not started", Since: time.Now()}}
	if _, err := stub.New(cfg.Plugin, s.options()...); err != nil {
		return nil, fmt.Errorf("NRI session: %w", err)
	}
	return s, nil
}

func (s *Session) options() []stub.Option {
	list := []stub.Option{
		stub.WithLogger(quiet{}),
		stub.WithPluginName(s.cfg.Name),
		stub.WithPluginIdx(s.cfg.Index),
	}
	if s.cfg.FailurePolicy != nil {
		list = append(list, stub.WithFailurePolicy(s.cfg.FailurePolicy))
	}
	return list
}

// Status returns how the session stands.
func (s *Session) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Run keeps the plugin registered until ctx ends, and returns nil then, when the
// requests under way have been answered. It is to be called once.
func (s *Session) Run(ctx context.Context) error {
	ctx = log.WithLogger(ctx, log.G(ctx).WithFields(log.Fields{
		"plugin": s.cfg.Index + "-" + s.cfg.Name, "socket": s.cfg.Socket,
	}))
	var wait backoff
	var said reminder
	for {
		end := s.once(ctx, &said)
		if ctx.Err() != nil {
			s.lost("stopped")
			return nil
		}
		s.lost(end.Error())
		if said.due(end.Error(), time.Now()) {
			log.G(ctx).WithError(end).Warn("not connected to the runtime's NRI; trying again")
		}
		select {
		case <-time.After(wait.next(end)):
		case <-ctx.Done():
		}
	}
}

// once connects and returns why that came to an end.
func (s *Session) once(ctx context.Context, said *reminder) *ending {
	raw, file, listener, err := dial(ctx, s.cfg.Socket)
	if err != nil {
		return &ending{err: err, absent: true}
	}
	c := newConnection(s, raw)
	plugin, err := stub.New(s.cfg.Plugin, append(s.options(), c.options()...)...)
	if err != nil {
		_ = raw.Close()
		return &ending{err: err}
	}
	s.begin(c)
	replaced := c.watch(ctx, file, listener)
	err = c.start(ctx, plugin)
	if err == nil {
		err = c.serve(ctx, said)
	}
	plugin.Stop()
	c.close()
	if r := <-replaced; r != nil {
		err = r
	}
	return &ending{err: err, lasted: s.lasted()}
}

// lasted is for how long the plugin has been registered.
func (s *Session) lasted() time.Duration {
	st := s.Status()
	if !st.Connected {
		return 0
	}
	return time.Since(st.Since)
}

func (s *Session) begin(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = c
	s.status.Problem = "connected; the runtime has not taken the plugin in yet"
}

// met takes note of who the runtime is.
func (s *Session) met(c *connection, req *api.ConfigureRequest) {
	s.mu.Lock()
	current := s.current == c
	if current {
		s.status.Runtime = engine.Runtime{Name: req.GetRuntimeName(), Version: req.GetRuntimeVersion()}
		s.status.NRI = req.GetNRIVersion()
	}
	s.mu.Unlock()
	if current && s.cfg.Configured != nil {
		s.cfg.Configured(req)
	}
}

// joined marks the plugin as registered.
func (s *Session) joined(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == c && !s.status.Connected {
		s.status.Connected, s.status.Problem, s.status.Since = true, "", time.Now()
	}
}

func (s *Session) lost(problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = nil
	s.status.Problem = problem
	if s.status.Connected {
		s.status.Connected, s.status.Since = false, time.Now()
	}
}
