package nri

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/log"
)

// ErrReloaded says that a prepared change cannot be made any more: it was made or
// given up already, or NRI has been reloaded with another one since.
var ErrReloaded = errors.New("this reload of NRI is over; prepare another")

// Reload is a change of NRI's settings that is ready to be made. One of Commit and
// Abort must be called; Abort after Commit does nothing, so that it can be deferred.
// A Reload belongs to one goroutine.
type Reload struct {
	n *Integration // nil where there is nothing to reload
	// seen is what ran when the change was prepared.
	seen *instance
	// next is nil when nothing changes.
	next *instance
	done bool
}

// PrepareReload does all that can fail in changing NRI's settings, short of
// starting anything: the configuration is completed and checked, plugins' names
// and configuration are read, the socket's directory is made and tried. Engine,
// Sync and Update keep their values where cfg has nil. Nothing that runs is
// touched, and an error leaves all as it is.
//
// The policies have a reload of their own, [engine.Engine.Swap], which needs
// nothing of this.
func (n *Integration) PrepareReload(ctx context.Context, cfg Config) (*Reload, error) {
	old := n.current()
	if old == nil {
		if cfg.Enable {
			return nil, errors.New("there is no NRI integration to reload: make one with New")
		}
		return &Reload{}, nil
	}
	if old.stopped() {
		return nil, ErrShutdown
	}
	same := cfg.inherit(old.cfg)
	next, err := newInstance(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("NRI stays as it is: %w", err)
	}
	if same && next.cfg.sameSettings(old.cfg) {
		return &Reload{n: n, seen: old}, nil
	}
	return &Reload{n: n, seen: old, next: next}, nil
}

// Commit makes the change. Creations and removals wait meanwhile; it waits for
// those under way to be released, starts NRI anew, which tells all plugins what
// exists, and then ends the old run for good: its plugins are disconnected, and
// nothing that they still send has an effect. Other events are not held up; those
// of the very moment go to the old run's plugins.
//
// Plugins in the plugin directory run twice for that moment, so that an error,
// such as one of Config.Sync, leaves the old run as it is; another try takes
// another PrepareReload. Where nothing changed plugins stay connected. Commit must
// not be called with a lock held that a creation needs for its release, or
// Config.Sync; it gives up when ctx ends.
func (r *Reload) Commit(ctx context.Context) error {
	switch {
	case r.n == nil:
		return nil
	case r.done:
		return ErrReloaded
	}
	if err := r.n.gate.shut(ctx); err != nil {
		r.Abort()
		return fmt.Errorf("NRI stays as it is: containers are still being created or removed: %w", err)
	}
	defer r.n.gate.open()
	if r.n.current() != r.seen {
		return ErrReloaded
	}
	if r.next == nil {
		return nil
	}
	r.done = true
	if err := r.next.run(ctx); err != nil {
		return fmt.Errorf("NRI stays as it is: %w", err)
	}
	old, err := r.n.replace(r.next)
	if err != nil {
		return errors.Join(err, r.next.stop(ctx))
	}
	if err := old.stop(ctx); err != nil {
		log.G(ctx).WithError(err).Warn("The previous run of NRI has no effect any more, but has not ended yet")
	}
	return nil
}

// Abort gives the change up.
func (r *Reload) Abort() {
	if r.next != nil && !r.done {
		r.next.cancel()
	}
	r.done = true
}

// inherit takes over what may be left out at a reload, and says whether all of it
// was.
func (c *Config) inherit(old Config) bool {
	all := (c.Engine == nil || c.Engine == old.Engine) && c.Sync == nil && c.Update == nil
	if c.Engine == nil {
		c.Engine = old.Engine
	}
	if c.Sync == nil {
		c.Sync = old.Sync
	}
	if c.Update == nil {
		c.Update = old.Update
	}
	return all
}

// sameSettings compares two complete configurations, but for what [Config.inherit]
// does.
func (c Config) sameSettings(o Config) bool {
	return c.Enable == o.Enable && c.Name == o.Name && c.Version == o.Version &&
		c.PluginPath == o.PluginPath && c.PluginConfigPath == o.PluginConfigPath &&
		c.SocketPath == o.SocketPath && c.HostRoot == o.HostRoot && c.Profile == o.Profile
}
