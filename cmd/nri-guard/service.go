package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/containerd/log"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/admin"
	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/metrics"
	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/systemd"
	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/watch"
	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/audit"
	"github.com/nri-guard/nri-guard/engine/nri"
	"github.com/nri-guard/nri-guard/engine/nri/observer"
	"github.com/nri-guard/nri-guard/engine/nri/proxy"
	"github.com/nri-guard/nri-guard/engine/nri/validator"
)

// service is a guard that runs: what it consists of, and what is in force.
type service struct {
	file    string
	engine  *engine.Engine
	metrics *metrics.Metrics
	pulse   *pulse
	watcher *watch.Watcher // nil where files cannot be watched

	log       *audit.Log // nil without a decision log
	observer  *observer.Observer
	validator *validator.Validator // nil unless enabled
	proxy     *proxy.Proxy         // nil unless enabled
	admin     *admin.Server        // nil when off

	// started is set once the guard has been ready.
	started atomic.Bool

	mu      sync.Mutex
	inForce *loaded
	// failed is why the last reload failed, nil when it did not.
	failed error
}

// serve runs the service until ctx ends.
func serve(ctx context.Context, file string) error {
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	first, err := load(ctx, file)
	if err != nil {
		return err
	}
	s, err := newService(ctx, file, first)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	return s.run(ctx, reload)
}

// newService makes everything and connects nothing. The only socket that it opens is
// the admin address, which may be taken.
func newService(ctx context.Context, file string, first *loaded) (*service, error) {
	s := &service{file: file, engine: engine.New(engine.Rules{}), metrics: metrics.New(), inForce: first}
	s.pulse = &pulse{engine: s.engine}
	err := first.config.checkVacant()
	if err != nil {
		return nil, err
	}
	if s.log, err = openLog(first.config.Audit.Config); err != nil {
		return nil, fmt.Errorf("%s: %w", first.config.At("audit.path"), err)
	}
	if err := s.connect(first.config); err != nil {
		return nil, err
	}
	if err := s.enforce(first); err != nil {
		return nil, err
	}
	if s.watcher, err = watch.New(); err != nil {
		log.G(ctx).WithError(err).Warn("Changes of files go unnoticed; reload by SIGHUP")
	}
	s.metrics.Watch(s.measured)
	if address := first.config.Admin.Address; address != adminOff {
		s.admin, err = admin.Listen(address, admin.Handler(admin.Config{
			Alive: s.alive, State: s.state, Metrics: s.metrics.Gatherer(),
		}))
	}
	return s, err
}

// openLog opens the decision log, where there is one.
func openLog(c audit.Config) (*audit.Log, error) {
	switch c.Path {
	case "":
		return nil, nil
	case "-":
		return audit.NewWriter(os.Stdout, c)
	}
	return audit.New(c)
}

// connect makes the parts that stand between runtime and plugins.
func (s *service) connect(c *config) error {
	var err error
	watching := observer.Config{Socket: c.runtimeSocket(), Told: c.Validator.Enabled}
	if s.observer, err = observer.New(watching); err != nil {
		return err
	}
	var ledger *nri.Ledger
	if c.Validator.Enabled {
		cfg := validator.Config{
			Engine: s.engine, Socket: c.runtimeSocket(), Name: c.Validator.Name, Index: c.Validator.Index,
			HostRoot: c.hostRoot(), Lookup: s.observer.Lookup, Created: s.observer.Create,
			Self: []engine.Plugin{watching.Plugin()},
		}
		if c.Proxy.Enabled {
			ledger = nri.NewLedger(c.builtin()...)
			cfg.Ledger = ledger
		}
		if s.validator, err = validator.New(cfg); err != nil {
			return err
		}
	}
	if !c.Proxy.Enabled {
		return nil
	}
	s.proxy, err = proxy.New(proxy.Config{
		Engine:   s.engine,
		Socket:   c.Proxy.socket(),
		Runtime:  c.runtimeSocket(),
		Launch:   proxy.Launch{Path: c.Proxy.Launch.Path, Config: c.Proxy.Launch.Config},
		Plugins:  c.proxied(),
		Reserved: c.ownNames(),
		Lookup:   s.observer.Lookup,
		Ready:    s.observer.Ready,
		HostRoot: c.hostRoot(),
		Ledger:   ledger,
	})
	return err
}

// run runs all parts until ctx ends or one of them does, which is an error.
func (s *service) run(told context.Context, reload <-chan os.Signal) error {
	ctx, cancel := context.WithCancelCause(told)
	defer cancel(nil)
	s.announce(ctx)
	s.announceAdmin(ctx)
	parts := s.parts()
	for i := range parts {
		parts[i].start(ctx, cancel)
	}
	var background sync.WaitGroup
	background.Go(func() { s.follow(ctx) })
	background.Go(func() { systemd.Watchdog(ctx, s.pulse.check) })
	s.obey(ctx, reload, &background)

	systemd.Stopping(ctx)
	log.G(ctx).Info("Stopping")
	var err error
	if told.Err() == nil {
		err = context.Cause(ctx)
	}
	for i := range parts {
		if e := parts[i].end(); e != nil && err == nil {
			err = e
		}
	}
	background.Wait()
	return err
}

// obey reloads whenever it is asked for, until ctx ends.
func (s *service) obey(ctx context.Context, reload <-chan os.Signal, background *sync.WaitGroup) {
	changed := make(chan struct{}, 1)
	if s.watcher != nil {
		s.watcher.Set(s.inForce.stamp)
		background.Go(func() {
			s.watcher.Run(ctx, func() {
				select {
				case changed <- struct{}{}:
				default: // a reload that has not begun will see this change too
				}
			}, func(err error) {
				log.G(ctx).WithError(err).Warn("Changes of files may go unnoticed; reload by SIGHUP")
			})
		})
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-reload:
			s.reload(ctx, "SIGHUP")
		case <-changed:
			s.reload(ctx, "a change of files")
		}
	}
}

// close ends what has no part of its own.
func (s *service) close(ctx context.Context) {
	if s.log == nil {
		return
	}
	if err := s.log.Close(); err != nil {
		log.G(ctx).WithError(err).Warn("The decision log could not be closed")
	}
}
