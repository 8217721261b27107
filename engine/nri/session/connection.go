package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/internal/stack"
)

// connection is one with the runtime, from dialling to closing.
type connection struct {
	session *Session
	net.Conn
	closing sync.Once
	closed  chan struct{}
	// asked is closed when the runtime has configured the plugin.
	asked chan struct{}
	// ready is closed when it has synchronised it.
	ready       chan struct{}
	configuring sync.Once
	readying    sync.Once

	timeout  atomic.Int64 // the runtime's, for requests
	inflight atomic.Int64
	idle     chan struct{} // has something when a request has been answered
}

func newConnection(s *Session, raw net.Conn) *connection {
	c := &connection{session: s, Conn: raw, closed: make(chan struct{}), asked: make(chan struct{}),
		ready: make(chan struct{}), idle: make(chan struct{}, 1)}
	c.timeout.Store(int64(api.DefaultPluginRequestTimeout))
	return c
}

// Close is called by NRI's multiplexer as soon as the other end has closed, and
// by whoever wants it to end.
func (c *connection) Close() error {
	c.closing.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func (c *connection) close() { _ = c.Close() }

func (c *connection) options() []stub.Option {
	return []stub.Option{
		stub.WithConnection(c),
		stub.WithTTRPCOptions(
			[]ttrpc.ClientOpts{ttrpc.WithUnaryClientInterceptor(c.call)},
			[]ttrpc.ServerOpt{ttrpc.WithUnaryServerInterceptor(c.handle)}),
	}
}

// start registers the plugin. The context that handlers get does not end with
// ctx: requests under way are answered.
func (c *connection) start(ctx context.Context, plugin stub.Stub) error {
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	if err := plugin.Start(context.WithoutCancel(ctx)); err != nil {
		return c.explain(err)
	}
	return nil
}

// serve waits until the connection or ctx ends.
func (c *connection) serve(ctx context.Context, said *reminder) error {
	select {
	case <-c.ready:
	case <-c.closed:
		return c.explain(errClosed)
	case <-ctx.Done():
		return ctx.Err()
	}
	st := c.session.Status()
	log.G(ctx).WithFields(log.Fields{"runtime": st.Runtime.Name, "version": st.Runtime.Version, "nri": st.NRI}).
		Info("connected to the runtime's NRI")
	said.reset()
	select {
	case <-c.closed:
		return errClosed
	case <-ctx.Done():
		c.drain()
		return ctx.Err()
	}
}

// parting is how long the connection stands after the last request has been
// handled. ttrpc does not say when an answer has left.
const parting = 100 * time.Millisecond

// drain waits until nothing is asked any more, as long as the runtime would wait.
func (c *connection) drain() {
	end := time.After(time.Duration(c.timeout.Load()))
	for {
		select {
		case <-time.After(parting):
			if c.inflight.Load() == 0 {
				return
			}
		case <-c.idle: // begin again, the answer has to leave
		case <-c.closed:
			return
		case <-end:
			return
		}
	}
}

// call is between the stub and the runtime. The stub registers with a deadline;
// it is taken away. It then waits for its configuration and does not see the
// connection close; that is done here.
func (c *connection) call(ctx context.Context, req *ttrpc.Request, rpl *ttrpc.Response, info *ttrpc.UnaryClientInfo, next ttrpc.Invoker) error {
	if path.Base(info.FullMethod) != "RegisterPlugin" {
		return next(ctx, req, rpl)
	}
	req.TimeoutNano = 0
	err := next(context.WithoutCancel(ctx), req, rpl)
	if err != nil || rpl.GetStatus().GetCode() != int32(codes.OK) {
		return err
	}
	select {
	case <-c.asked:
		return nil
	case <-c.closed:
		return errClosed
	}
}

// handle is between the runtime and the stub.
func (c *connection) handle(ctx context.Context, read ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, next ttrpc.Method) (rpl any, err error) {
	stack.Reserve() // reading a request takes as much as judging it
	c.inflight.Add(1)
	defer c.handled()
	defer func() {
		if p := recover(); p != nil {
			log.G(ctx).WithField("stack", string(debug.Stack())).Errorf("panic while handling an NRI request: %v", p)
			rpl, err = nil, fmt.Errorf("the request could not be handled: %v", p)
		}
	}()
	switch path.Base(info.FullMethod) {
	case "Configure":
		defer c.configuring.Do(func() { close(c.asked) })
		rpl, err = next(ctx, c.reading(read))
		if r, ok := rpl.(*api.ConfigureResponse); ok && err == nil {
			c.spare(r)
		}
		return rpl, err
	case "Synchronize":
		rpl, err = next(ctx, read)
		if s, ok := rpl.(*api.SynchronizeResponse); ok && err == nil && !s.GetMore() {
			c.session.joined(c)
			c.readying.Do(func() { close(c.ready) })
		}
		return rpl, err
	}
	rpl, err = next(ctx, read)
	if err != nil && len(err.Error()) > maxError {
		err = errors.New(engine.Brief(err.Error(), maxError))
	}
	return rpl, err
}

// spare leaves out what the runtime may not know. A mask of 0 would be everything.
func (c *connection) spare(r *api.ConfigureResponse) {
	if mask := r.GetEvents() &^ int32(c.session.cfg.Spare); mask != 0 && mayBeTooOld(c.session.Status()) {
		r.Events = mask
	}
}

// maxError is how long an error may be. ttrpc sends no message of more than 4 MiB, and
// serves a connection no more on which it should have.
const maxError = 1 << 20

func (c *connection) handled() {
	c.inflight.Add(-1)
	select {
	case c.idle <- struct{}{}:
	default:
	}
}

// reading shows the session what the runtime says of itself.
func (c *connection) reading(read ttrpc.Unmarshaler) ttrpc.Unmarshaler {
	return func(m any) error {
		if err := read(m); err != nil {
			return err
		}
		if req, ok := m.(*api.ConfigureRequest); ok {
			if t := req.GetRequestTimeout(); t > 0 {
				c.timeout.Store(int64(time.Duration(t) * time.Millisecond))
			}
			c.session.met(c, req)
		}
		return nil
	}
}

// errClosed says that the other end hung up.
var errClosed = errors.New("the runtime closed the connection")
