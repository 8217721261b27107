package nri

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/internal/seen"
	"github.com/nri-guard/nri-guard/engine/nri/internal/socket"
)

// errStopped is what plugins of a run of NRI get that has ended.
var errStopped = errors.New("this run of NRI has ended")

// instance is one run of NRI: from New or a reload to Shutdown or the next
// reload. With NRI disabled it has its configuration and nothing else.
type instance struct {
	cfg    Config
	nri    *adaptation.Adaptation
	guard  *guard
	roster *roster
	socket *socket.Place // nil without one
	seen   seen.Containers
	// ctx ends with the instance.
	ctx    context.Context
	cancel context.CancelFunc
}

// newInstance does all that can fail before anything is started.
func newInstance(ctx context.Context, cfg Config) (*instance, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	in := &instance{cfg: cfg}
	in.ctx, in.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if !cfg.Enable {
		return in, nil
	}
	if err := checkPlugins(cfg.PluginPath, cfg.PluginConfigPath); err != nil {
		return nil, err
	}
	in.roster = newRoster()
	in.guard = newGuard(cfg.Engine, Border{HostRoot: cfg.HostRoot, Lookup: in.seen.Lookup})
	options := append(in.roster.options(),
		adaptation.WithPluginPath(cfg.PluginPath),
		adaptation.WithPluginConfigPath(cfg.PluginConfigPath),
		adaptation.WithBuiltinPlugins(in.guard.plugin()),
	)
	if cfg.SocketPath == "" {
		options = append(options, adaptation.WithDisabledExternalConnections())
	} else {
		in.socket = socket.New(cfg.SocketPath)
		if err := in.socket.Check(); err != nil {
			return nil, err
		}
		options = append(options, adaptation.WithSocketPath(in.socket.Hidden))
	}
	in.nri, err = adaptation.New(cfg.Name, cfg.Version, in.synchronize, in.unsolicited, options...)
	if err != nil {
		return nil, fmt.Errorf("setting NRI up: %w", err)
	}
	return in, nil
}

// checkPlugins finds what NRI would refuse to start with.
func checkPlugins(plugins, configs string) error {
	entries, err := os.ReadDir(plugins)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("NRI plugin path: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || e.IsDir() || info.Mode()&0o111 == 0 {
			continue
		}
		_, base, err := api.ParsePluginName(e.Name())
		if err != nil {
			return fmt.Errorf("NRI plugin path %s has an executable that is no plugin: %w", plugins, err)
		}
		for _, name := range []string{e.Name(), base} {
			_, err := os.ReadFile(filepath.Join(configs, name+".conf"))
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("configuration of NRI plugin %s: %w", e.Name(), err)
			}
		}
	}
	return nil
}

func (in *instance) enabled() bool { return in.nri != nil }

func (in *instance) stopped() bool { return in.ctx.Err() != nil }

// start starts NRI, which launches plugins, and synchronises them, and only then
// opens the socket. After an error the instance is of no more use. When ctx ends
// first, starting is given up; what hangs is cleaned up when it returns.
func (in *instance) start(ctx context.Context) error {
	started := make(chan error, 1)
	go func() { started <- in.startNRI() }()
	select {
	case err := <-started:
		if err != nil {
			in.stop(ctx) //nolint:errcheck // the first error is the one to tell
			return err
		}
		return nil
	case <-ctx.Done():
		in.cancel()
		go func() {
			<-started                           //nolint:errcheck // the end is waited for, the error came too late
			in.stop(context.WithoutCancel(ctx)) //nolint:errcheck // nobody waits any more
		}()
		return fmt.Errorf("starting NRI: %w", context.Cause(ctx))
	}
}

func (in *instance) startNRI() (err error) {
	defer recovered(in.ctx, &err)
	if err := in.nri.Start(); err != nil {
		return fmt.Errorf("starting NRI: %w", err)
	}
	if in.socket == nil || in.stopped() {
		return nil
	}
	return in.socket.Publish()
}

// stop ends the run. From now on nothing that a plugin does has an effect; those
// that NRI launched are killed, the others disconnected. It returns with an error
// when ctx ends before NRI has stopped, which goes on by itself then.
func (in *instance) stop(ctx context.Context) error {
	in.cancel()
	if !in.enabled() {
		return nil
	}
	if in.socket != nil {
		if err := in.socket.Withdraw(); err != nil {
			log.G(in.ctx).WithError(err).Warn("The NRI socket is left behind")
		}
	}
	// Disconnected first, slow plugins do not hold up what NRI waits for.
	in.roster.close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		in.nri.Stop()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping NRI: %w", context.Cause(ctx))
	}
}

// plugins lists what is connected, as INDEX-NAME.
func (in *instance) plugins() []string {
	var names []string
	for _, p := range in.roster.connected() {
		names = append(names, p.String())
	}
	return names
}

// sole returns the only plugin of a list, else none.
func sole(list []engine.Plugin) engine.Plugin {
	if len(list) == 1 {
		return list[0]
	}
	return engine.Plugin{}
}
