package proxy

import (
	"context"
	"fmt"
	"maps"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/log"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
	"github.com/nri-guard/nri-guard/engine/nri/peer"
)

// Proxy relays NRI between plugins and a runtime. It is safe for concurrent use.
type Proxy struct {
	cfg           Config
	inspector     *peer.Inspector
	places        *nri.Places
	visitors      visitors
	registrations registrations
	holdings      holdings
	asking        *turns // of all plugins, for what they ask by themselves
	// runtime is what the runtime said of itself last.
	runtime atomic.Pointer[engine.Runtime]

	// swapping is held for writing while plugins and the engine's rules are replaced.
	swapping sync.RWMutex
	plugins  map[string]*rule

	mu        sync.Mutex
	listening bool
	problems  map[string]string // by what they are about
	links     map[*link]struct{}
}

// Status is how a proxy is doing.
type Status struct {
	// Listening says whether plugins can connect.
	Listening bool
	// Problem says what is wrong, "" if nothing is known to be.
	Problem string
	// Plugins are those that have registered and are connected, in NRI's order.
	Plugins []engine.Plugin
}

// New checks the configuration. No socket is touched before [Proxy.Run].
func New(cfg Config) (*Proxy, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	rules, err := newRules(cfg.Plugins)
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		cfg:           cfg,
		inspector:     &peer.Inspector{Root: cfg.HostRoot},
		places:        &nri.Places{},
		asking:        newTurns(max(1, runtime.GOMAXPROCS(0)-1)), // one processor is left for what the runtime waits for
		visitors:      visitors{max: cfg.Limits.Connections},
		holdings:      holdings{max: cfg.Limits.Memory},
		registrations: registrations{perSecond: cfg.Limits.Registrations, by: map[any]*pace{}},
		problems:      map[string]string{},
		links:         map[*link]struct{}{},
		plugins:       rules,
	}
	p.runtime.Store(&engine.Runtime{})
	return p, nil
}

// Run listens and relays until ctx ends; then it lets calls under way finish for a
// bounded time and disconnects everybody. An error says why it could not listen. A
// proxy is run once.
func (p *Proxy) Run(ctx context.Context) error {
	// What is under way when ctx ends is still to be finished.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	listener, err := p.listen(work)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() { p.accept(work, listener, &wg) })
	wg.Go(func() { p.watch(ctx, listener) })
	wg.Go(func() { p.launch(ctx, work) })
	log.G(ctx).Infof("Listening for NRI plugins on %s", p.cfg.Socket.Path)
	<-ctx.Done()
	p.withdraw(ctx, listener)
	p.drain()
	stop()
	wg.Wait()
	return nil
}

// accept serves each connection on a goroutine of its own, so that one that says
// nothing keeps nobody waiting.
func (p *Proxy) accept(ctx context.Context, l *listener, wg *sync.WaitGroup) {
	for {
		conn, err := l.accept()
		if err != nil {
			return
		}
		who := processOf(conn)
		mine, away := context.WithCancelCause(log.WithLogger(ctx, log.G(ctx).WithField("process", who.pid)))
		v, err := p.visitors.enter(who, away)
		if err != nil {
			log.G(mine).WithError(err).Warn("A connection is refused")
			_ = conn.Close()
			away(nil)
			continue
		}
		wg.Go(func() {
			defer away(nil)
			defer p.visitors.leave(v)
			_ = p.serve(mine, conn, v, nil) // it is logged
		})
	}
}

// Status returns how the proxy is doing.
func (p *Proxy) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{Listening: p.listening}
	for _, about := range slices.Sorted(maps.Keys(p.problems)) {
		if s.Problem != "" {
			s.Problem += "; "
		}
		s.Problem += p.problems[about]
	}
	for l := range p.links {
		if l.registered.Load() {
			s.Plugins = append(s.Plugins, l.plugin)
		}
	}
	slices.SortFunc(s.Plugins, engine.ComparePlugins)
	return s
}

// problem takes note of what is wrong about something; "" is nothing any more. It says
// whether that is new.
func (p *Proxy) problem(about, text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.problems[about]
	if text == "" {
		delete(p.problems, about)
	} else {
		p.problems[about] = text
	}
	return text != before
}

// forget takes what is wrong about some things for nothing any more.
func (p *Proxy) forget(prefix string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.problems, func(about, _ string) bool { return strings.HasPrefix(about, prefix) })
}

// connected returns the links of plugins that were let in.
func (p *Proxy) connected() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]*link, 0, len(p.links))
	for l := range p.links {
		list = append(list, l)
	}
	return list
}

// dial connects to the runtime.
func (p *Proxy) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "unix", p.cfg.Runtime)
	if err != nil {
		err = fmt.Errorf("%w on %s: %w", errRuntimeAway, p.cfg.Runtime, err)
		p.problem("runtime", err.Error())
		return nil, err
	}
	p.problem("runtime", "")
	return conn, nil
}

const dialTimeout = 2 * time.Second
