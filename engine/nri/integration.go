package nri

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/containerd/log"
)

// ErrShutdown is returned for containers that are to be created after
// [Integration.Shutdown]: nobody would judge them.
var ErrShutdown = errors.New("NRI has been shut down")

// Integration is NRI in a daemon, with a guard between the plugins and what they
// change. It owns NRI's adaptation. A nil Integration, and one that is disabled,
// does nothing: creations are not adjusted, events go nowhere.
//
// All methods may be called concurrently. Pods and containers handed to them
// belong to the Integration, which does not modify them.
type Integration struct {
	gate gate
	mu   sync.Mutex
	// running is what creations and events go to. It changes with the gate shut.
	running *instance
	shut    bool
}

// New starts NRI as configured: plugins in the plugin directory are launched and
// told what exists before it returns, and then others may connect. ctx provides
// the log, and bounds the start.
//
// NRI has one logger in a process; New directs it to [github.com/containerd/log].
func New(ctx context.Context, cfg Config) (*Integration, error) {
	logToContainerd()
	in, err := newInstance(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := in.run(ctx); err != nil {
		return nil, err
	}
	return &Integration{running: in}, nil
}

// run starts the instance, or says that there is nothing to start.
func (in *instance) run(ctx context.Context) error {
	if !in.enabled() {
		log.G(ctx).Info("NRI is disabled")
		return nil
	}
	log.G(ctx).WithFields(log.Fields{
		"pluginPath":       in.cfg.PluginPath,
		"pluginConfigPath": in.cfg.PluginConfigPath,
		"socketPath":       in.cfg.SocketPath,
	}).Info("Starting NRI")
	return in.start(ctx)
}

// current returns what is running, nil for a nil Integration.
func (n *Integration) current() *instance {
	if n == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.running
}

// active returns what is running with NRI in it, else nil.
func (n *Integration) active() *instance {
	if in := n.current(); in != nil && in.enabled() && !in.stopped() {
		return in
	}
	return nil
}

// replace makes the instance the running one and returns the one that was. It
// fails after a shutdown.
func (n *Integration) replace(in *instance) (*instance, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.shut {
		return nil, ErrShutdown
	}
	old := n.running
	n.running = in
	return old, nil
}

// Shutdown ends NRI. It waits for creations and removals that are under way, as
// long as ctx allows, then disconnects the plugins and kills those that NRI
// launched. Creations fail from then on; events go nowhere. A second call does
// nothing.
func (n *Integration) Shutdown(ctx context.Context) error {
	if n == nil {
		return nil
	}
	n.mu.Lock()
	again := n.shut
	n.shut = true
	n.mu.Unlock()
	if again {
		return nil
	}
	waited := n.gate.shut(ctx)
	if waited == nil {
		defer n.gate.open()
	}
	in := n.current()
	if in.enabled() {
		log.G(ctx).Info("Shutting down NRI")
	}
	if err := in.stop(ctx); err != nil {
		return err
	}
	if waited != nil {
		return fmt.Errorf("shutting NRI down: containers were still being created or removed: %w", waited)
	}
	return nil
}

// Info is what a daemon may show of NRI. It is zero while NRI is disabled.
type Info struct {
	Enabled          bool
	PluginPath       string
	PluginConfigPath string
	// SocketPath is "" when plugins cannot connect.
	SocketPath string
	// Profile is [Config.Profile].
	Profile string
	// Revision is that of the policies which decide at this moment, "" without any.
	Revision string
	// Plugins are those connected, as INDEX-NAME and in NRI's order. The guard is
	// not among them.
	Plugins []string
}

// Info describes what is running.
func (n *Integration) Info() Info {
	in := n.active()
	if in == nil {
		return Info{}
	}
	info := Info{
		Enabled:          true,
		PluginPath:       in.cfg.PluginPath,
		PluginConfigPath: in.cfg.PluginConfigPath,
		SocketPath:       in.cfg.SocketPath,
		Profile:          in.cfg.Profile,
		Plugins:          in.plugins(),
	}
	if p := in.cfg.Engine.Rules().Policies; p != nil {
		info.Revision = p.Revision()
	}
	return info
}
