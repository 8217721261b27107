package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/net/multiplex"
	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
	"github.com/nri-guard/nri-guard/engine/nri/peer"
	"github.com/nri-guard/nri-guard/engine/nri/proxy/internal/wire"
)

const (
	// maxGreeting bounds the messages of plugins that have not registered yet, and
	// maxGreetings how many there may be.
	maxGreeting  = 64 << 10
	maxGreetings = 16
	// maxName is how long a plugin's name may be: as long as that of a file, which is
	// what runtimes call plugins after that they start.
	maxName = 255
	// readyWait is how long a registration waits for the observer.
	readyWait = 3 * time.Second
	// farewell is how long a plugin that is refused has to read why.
	farewell = time.Second
)

// registration is a plugin's request to be registered.
type registration struct {
	stream  uint32
	request *ttrpc.Request
	plugin  *api.RegisterPluginRequest
}

// greet waits for the plugin to register. Anything else that it asks for before is
// refused.
func (l *link) greet(deadline time.Time) (*registration, error) {
	if err := l.conn.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	l.fromPlugin.Limit(maxGreeting)
	for range maxGreetings {
		m, err := l.fromPlugin.Read()
		if err != nil {
			return nil, err
		}
		if m.Conn != multiplex.RuntimeServiceConn {
			return nil, errors.New("it answers what it was not asked")
		}
		req, err := l.asked(m)
		if err != nil {
			return nil, err
		}
		if req.GetService() != runtimeService || req.GetMethod() != registerPlugin {
			if err := l.refuseEarly(m, req); err != nil {
				return nil, err
			}
			continue
		}
		reg := &registration{stream: m.Stream, request: req, plugin: &api.RegisterPluginRequest{}}
		if err := unmarshal(req.GetPayload(), reg.plugin); err != nil {
			return nil, err
		}
		if err := bounded(reg.plugin); err != nil {
			l.dismiss(reg, err)
			return nil, err
		}
		if l.own != nil {
			reg.plugin.PluginName, reg.plugin.PluginIdx = l.own.name, l.own.index
		}
		l.fromPlugin.Limit(wire.MaxPayload)
		return reg, l.conn.SetReadDeadline(time.Time{})
	}
	return nil, fmt.Errorf("it made %d requests without registering", maxGreetings)
}

// bounded returns an error for names that nobody can have and that would fill the logs.
func bounded(plugin *api.RegisterPluginRequest) error {
	for _, part := range []struct{ what, text string }{
		{"name", plugin.GetPluginName()}, {"index", plugin.GetPluginIdx()}, {"NRI version", plugin.GetNRIVersion()},
	} {
		if n := len(part.text); n > maxName {
			return fmt.Errorf("the plugin's %s has %d bytes; at most %d are allowed", part.what, n, maxName)
		}
	}
	return nil
}

// refuseEarly answers what is asked before registration.
func (l *link) refuseEarly(m wire.Message, req *ttrpc.Request) error {
	if req.GetService() == runtimeService && req.GetMethod() == updateContainers {
		return l.toPlugin.Write(refusal(m, codes.FailedPrecondition, "register first"))
	}
	return l.toPlugin.Write(refusal(m, codes.Unimplemented, unimplemented(req)))
}

// admit decides whether the plugin may register, and takes it in.
func (l *link) admit() error {
	if err := l.proxy.ready(l.ctx); err != nil {
		return err
	}
	if err := l.queue(); err != nil {
		return err
	}
	r := l.candidacy()
	rivals := l.proxy.enter(l) // first, so that a change of what is demanded finds it
	f := l.proxy.inForce()
	rule := f.rule(l.plugin.Name)
	for _, err := range []error{
		api.CheckPluginName(l.plugin.Name),
		api.CheckPluginIndex(l.plugin.Index),
		l.proxy.reserved(l.plugin.Name),
		rule.free(l.plugin, rivals),
		l.demanded(rule),
		l.verify(),
	} {
		if err != nil {
			r.Malformed = append(r.Malformed, err.Error())
		}
	}
	err := f.decide(l.ctx, r).Err(engine.RegisterPlugin)
	if err == nil {
		// Deciding takes a moment, in which the process could have become another.
		err = l.verify()
	}
	if err == nil {
		err = l.proxy.visitors.settle(l.visitor, l.keptName())
	}
	if err != nil {
		l.proxy.leave(l)
	}
	return err
}

// candidacy is the question whether the plugin may be one.
func (l *link) candidacy() *engine.Review {
	return &engine.Review{
		Version:   engine.Version,
		Operation: engine.RegisterPlugin,
		Runtime:   *l.proxy.runtime.Load(),
		Plugin:    l.plugin,
		Plugins:   []engine.Plugin{l.plugin},
	}
}

// reject is a decision against a plugin that has been let in.
func (l *link) reject(f force, why string) error {
	r := l.candidacy()
	r.Malformed = []string{why}
	return f.decide(l.ctx, r).Err(engine.RegisterPlugin)
}

// demanded returns why the plugin is not who it has to be, with what stood in the
// way of finding out.
func (l *link) demanded(r *rule) error {
	err := r.demand(l.plugin)
	if err == nil || l.who == nil || len(l.who.Gaps()) == 0 {
		return err
	}
	return fmt.Errorf("%w; not observed: %s", err, strings.Join(l.who.Gaps(), "; "))
}

// queue waits until the registration may be decided about.
func (l *link) queue() error {
	if l.visitor == nil {
		return nil
	}
	return l.proxy.registrations.wait(l.visitor.process, l.keptName(), func(d time.Duration) error {
		if !l.wait(d) {
			return cause(l.ctx)
		}
		return nil
	})
}

// keptName is the plugin's name where the configuration says who may have that, and the
// plugin may; else "". What others do in the meantime is not to keep it out.
func (l *link) keptName() string {
	f := l.proxy.inForce()
	if r := f.rule(l.plugin.Name); r.general || len(r.identities) == 0 || r.demand(l.plugin) != nil {
		return ""
	}
	return l.plugin.Name
}

// verify returns an error if whoever connected is not who it was.
func (l *link) verify() error {
	if l.who == nil {
		return nil
	}
	return l.who.Verify()
}

// reserved returns an error for names that plugins may not have.
func (p *Proxy) reserved(name string) error {
	if name == nri.DefaultValidator || slices.Contains(p.cfg.Reserved, name) {
		return fmt.Errorf("the name %q is reserved", name)
	}
	return nil
}

// errNotReady refuses registrations before decisions can be made.
var errNotReady = errors.New("the guard does not know yet what containers there are; try again")

// ready waits a moment for those to be ready whom decisions rely on.
func (p *Proxy) ready(ctx context.Context) error {
	if p.cfg.Ready == nil {
		return nil
	}
	for end := time.Now().Add(readyWait); !p.cfg.Ready(); {
		if time.Now().After(end) {
			return errNotReady
		}
		select {
		case <-ctx.Done():
			return cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// enter takes a plugin in, and returns those who have its name already.
func (p *Proxy) enter(l *link) (rivals []engine.Plugin) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links[l] = struct{}{}
	for other := range p.links {
		if other != l && other.plugin.Name == l.plugin.Name {
			rivals = append(rivals, other.plugin)
		}
	}
	return rivals
}

// free returns an error where somebody else has the plugin's name: that is for the
// same executable and user alone, unless the configuration says whose it is. Two may
// come under one name while one takes over from the other.
func (r *rule) free(p engine.Plugin, rivals []engine.Plugin) error {
	if len(r.identities) > 0 && !r.general {
		return nil
	}
	for _, other := range rivals {
		if !alike(other.Identity, p.Identity) {
			return fmt.Errorf("%q is connected already, as %s; plugins[].identity can say who may register as that",
				p.Name, describe(other.Identity))
		}
	}
	return nil
}

// alike says whether two processes are known to run the same for the same user. Of an
// interpreter it is not known what it runs; the same process may connect again.
func alike(a, b *engine.Identity) bool {
	return a != nil && b != nil && a.SHA256 != "" && a.SHA256 == b.SHA256 && a.UID == b.UID &&
		(a.PID == b.PID || !peer.Interpreter(a.Exe) && !peer.Interpreter(b.Exe))
}

// leave lets a plugin go.
func (p *Proxy) leave(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// register relays the registration, as it was understood.
func (l *link) register(reg *registration) error {
	plugin := &api.RegisterPluginRequest{
		PluginName: reg.plugin.GetPluginName(),
		PluginIdx:  reg.plugin.GetPluginIdx(),
		NRIVersion: reg.plugin.GetNRIVersion(),
	}
	payload, err := proto.Marshal(plugin)
	if err != nil {
		return err
	}
	reg.request.Payload = payload
	if err := l.asks.begin(0); err != nil {
		return err
	}
	if err := l.forward(ask{stream: reg.stream, register: true}, reg.request, 0); err != nil {
		return fmt.Errorf("the runtime does not take it: %w", err)
	}
	return nil
}

// dismiss tells a plugin why it is refused, and gives it a moment to read that: a
// stub loses what is in its multiplexer when the connection is closed.
func (l *link) dismiss(reg *registration, why error) {
	l.proxy.visitors.hear(l.visitor, false)
	m := wire.Message{Conn: multiplex.RuntimeServiceConn, Stream: reg.stream}
	code := codes.PermissionDenied
	if errors.Is(why, errRuntimeAway) || errors.Is(why, errNotReady) || errors.Is(why, errTooOften) {
		code = codes.Unavailable // it may be otherwise soon
	}
	if err := l.toPlugin.Write(refusal(m, code, why.Error())); err != nil {
		log.G(l.ctx).WithError(err).Debug("A plugin that is refused does not listen")
		return
	}
	if l.conn.SetReadDeadline(time.Now().Add(farewell)) == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(l.conn, maxGreeting))
	}
}
