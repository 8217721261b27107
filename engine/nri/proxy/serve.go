package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"time"

	"github.com/containerd/log"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/peer"
)

// serve relays one plugin's connection until it ends, and returns why it did. It is
// a visitor's, or of a plugin that the proxy started.
func (p *Proxy) serve(ctx context.Context, conn *net.UnixConn, v *visitor, own *launched) error {
	defer conn.Close() //nolint:errcheck // nobody to tell
	accepted := time.Now()
	who, err := p.identify(ctx, conn, own)
	if err != nil {
		log.G(ctx).WithError(err).Warn("A plugin's connection is refused")
		return err
	}
	if who != nil {
		defer who.Close() //nolint:errcheck // only read from
	}
	l := newLink(ctx, p, conn, who, v, own)
	defer l.holding.close()
	defer context.AfterFunc(ctx, func() { l.end(cause(ctx)) })()
	err = recovering(ctx, func() error { return l.run(accepted.Add(p.cfg.Limits.Register)) })
	logger := log.G(l.ctx).WithError(err)
	if parted(err) {
		logger.Info("Plugin disconnected")
	} else {
		logger.Warn("Plugin disconnected by the guard")
	}
	return err
}

// cause is why a connection is ended from outside.
func cause(ctx context.Context) error {
	if err := context.Cause(ctx); errors.Is(err, errOvertaken) {
		return err
	}
	return errStopping
}

// parted says whether an error is the ordinary end of a connection.
func parted(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, errStopping)
}

var (
	// errStopping ends links when the proxy stops.
	errStopping = errors.New("the proxy stops")
	// errRuntimeAway refuses registrations when there is no runtime.
	errRuntimeAway = errors.New("the runtime does not answer")
)

// identify finds out who connected. Nil is nobody that could be known.
func (p *Proxy) identify(ctx context.Context, conn *net.UnixConn, own *launched) (*peer.Peer, error) {
	if own != nil {
		return p.inspector.Process(own.pid)
	}
	who, err := p.inspector.Of(ctx, conn)
	if errors.Is(err, peer.ErrUnknown) {
		return nil, nil
	}
	return who, err
}

// recovering calls f; a panic becomes an error.
func recovering(ctx context.Context, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.G(ctx).WithField("stack", string(debug.Stack())).Errorf("panic while relaying NRI: %v", p)
			err = fmt.Errorf("the message could not be handled: %v", p)
		}
	}()
	return f()
}

// run takes a connection from its first message to its last.
func (l *link) run(deadline time.Time) error {
	reg, err := l.greet(deadline)
	if err != nil {
		if gone := cause(l.ctx); errors.Is(gone, errOvertaken) {
			err = gone
		}
		return fmt.Errorf("before registering: %w", err)
	}
	l.proxy.visitors.hear(l.visitor, true)
	l.plugin = engine.Plugin{Name: reg.plugin.GetPluginName(), Index: reg.plugin.GetPluginIdx(), Identity: l.identity()}
	l.ctx = log.WithLogger(l.ctx, log.G(l.ctx).WithField("plugin", l.plugin.String()))
	if err := l.admit(); err != nil {
		l.dismiss(reg, err)
		return fmt.Errorf("registration refused: %w", err)
	}
	defer l.proxy.leave(l)
	upstream, err := l.proxy.dial(l.ctx)
	if err != nil {
		l.dismiss(reg, err)
		return fmt.Errorf("registration refused: %w", err)
	}
	defer upstream.Close() //nolint:errcheck // nobody to tell
	l.connect(upstream)
	if err := l.register(reg); err != nil {
		l.dismiss(reg, err)
		return fmt.Errorf("registration refused: %w", err)
	}
	return l.relay()
}

func (l *link) identity() *engine.Identity {
	if l.who == nil {
		return nil
	}
	id := l.who.Identity()
	return &id
}
