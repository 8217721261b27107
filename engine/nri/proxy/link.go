package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
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

// link is one plugin's connection, relayed.
type link struct {
	proxy  *Proxy
	ctx    context.Context
	own    *launched  // nil where the plugin connected by itself
	who    *peer.Peer // nil where nothing is known
	plugin engine.Plugin

	conn, upstream          net.Conn
	fromPlugin, fromRuntime *wire.Reader
	toPlugin, toRuntime     *wire.Writer

	calls calls
	asks  asks
	// lastAsk is the number of the plugin's latest request.
	lastAsk uint32
	// registered is set when the runtime has taken the plugin.
	registered atomic.Bool
	// terms are what the runtime told the plugin.
	terms atomic.Pointer[terms]
	// judging is for what is not relayed in order, working counts it.
	judging sync.WaitGroup
	working atomic.Int32

	mu     sync.Mutex
	ended  bool
	cause  error
	member *nri.Member // of the ledger, from synchronisation on
}

// terms are what a runtime tells a plugin when it configures it.
type terms struct {
	runtime engine.Runtime
	// limit bounds a decision.
	limit time.Duration
}

func newLink(ctx context.Context, p *Proxy, conn net.Conn, who *peer.Peer, own *launched) *link {
	limits := p.cfg.Limits
	l := &link{
		proxy: p, ctx: ctx, own: own, who: who, conn: conn,
		fromPlugin: wire.NewReader(conn),
		toPlugin:   wire.NewWriter(conn, limits.Write),
		asks:       asks{maxCount: limits.Requests, maxBytes: limits.RequestBytes},
	}
	l.terms.Store(&terms{runtime: *p.runtime.Load(), limit: api.DefaultPluginRequestTimeout / 2})
	return l
}

// connect takes the connection to the runtime.
func (l *link) connect(upstream net.Conn) {
	l.fromRuntime = wire.NewReader(upstream)
	l.toRuntime = wire.NewWriter(upstream, 0)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.upstream = upstream
	if l.ended {
		_ = upstream.Close()
	}
}

// end closes both connections, for a reason.
func (l *link) end(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.close(cause)
	if l.upstream != nil {
		_ = l.upstream.Close()
	}
}

// hangUp closes the plugin's connection, for a reason. The runtime's is closed when
// what the plugin had answered is relayed.
func (l *link) hangUp(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.close(cause)
}

// close keeps the first of several reasons.
func (l *link) close(cause error) {
	if l.ended {
		return
	}
	l.ended, l.cause = true, cause
	_ = l.conn.Close()
}

// relay relays in both directions until one of them ends; then it ends the other.
// What the plugin had answered by then is still judged and relayed.
func (l *link) relay() error {
	defer l.depart()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.hangUp(from("the runtime", guarded(l.ctx, l.relayRuntime)))
	}()
	err := from("the plugin", guarded(l.ctx, l.relayPlugin))
	l.judging.Wait()
	l.end(err)
	<-ended
	return l.cause
}

// idle says whether nothing is under way.
func (l *link) idle() bool {
	return l.working.Load() == 0 && l.calls.idle() && l.asks.idle()
}

// from says where a connection ended.
func from(whom string, err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s closed the connection: %w", whom, err)
	}
	return fmt.Errorf("%s: %w", whom, err)
}

// relayPlugin relays what the plugin sends.
func (l *link) relayPlugin() error {
	for {
		m, err := l.fromPlugin.Read()
		if err != nil {
			return err
		}
		if m.Conn == multiplex.PluginServiceConn {
			err = l.answered(m)
		} else {
			err = l.ask(m)
		}
		if err != nil {
			return err
		}
	}
}

// relayRuntime relays what the runtime sends.
func (l *link) relayRuntime() error {
	for {
		m, err := l.fromRuntime.Read()
		if err != nil {
			return err
		}
		if m.Conn == multiplex.PluginServiceConn {
			err = l.call(m)
		} else {
			err = l.reply(m)
		}
		if err != nil {
			return err
		}
	}
}

// call relays a request of the runtime to the plugin.
func (l *link) call(m wire.Message) error {
	if m.Type != wire.Request || m.Flags&remoteOpen != 0 {
		return fmt.Errorf("a message of type %d with flags %#x where a request is due", m.Type, m.Flags)
	}
	req := &ttrpc.Request{}
	if err := proto.Unmarshal(m.Payload, req); err != nil {
		return fmt.Errorf("a request cannot be read: %w", err)
	}
	method, ok := methods[req.GetMethod()]
	if !ok || req.GetService() != pluginService {
		return l.toRuntime.Write(refusal(m, codes.Unimplemented, unimplemented(req)))
	}
	c := &call{method: method}
	if t := req.GetTimeoutNano(); t > 0 {
		c.deadline = time.Now().Add(time.Duration(t))
	}
	if method.asked {
		c.request = req.GetPayload()
	}
	shown, err := l.show(method, req)
	if err != nil {
		return err
	}
	if shown {
		if m.Payload, err = proto.Marshal(req); err != nil {
			return err
		}
	}
	if err := l.calls.add(m.Stream, c); err != nil {
		return err
	}
	return l.toPlugin.Write(m)
}

// answered relays the plugin's answer to a request of the runtime. One that the
// runtime does not wait for any more is dropped, as the runtime would.
func (l *link) answered(m wire.Message) error {
	if m.Type != wire.Response {
		return fmt.Errorf("a message of type %d where an answer is due; streams are not relayed", m.Type)
	}
	l.working.Add(1)
	defer l.working.Add(-1)
	c, err := l.calls.take(m.Stream)
	if err != nil || c == nil {
		return err
	}
	if c.method.judge == nil {
		return l.toRuntime.Write(m)
	}
	l.apart(func() error { return l.judge(c, m) })
	return nil
}

// apart does what takes its time without keeping the plugin's other messages
// waiting. An error ends the link.
func (l *link) apart(f func() error) {
	l.working.Add(1)
	l.judging.Go(func() {
		defer l.working.Add(-1)
		if err := guarded(l.ctx, f); err != nil {
			l.end(from("the plugin", err))
		}
	})
}

// ask takes a request that the plugin makes of the runtime.
func (l *link) ask(m wire.Message) error {
	req, err := l.asked(m)
	if err != nil {
		return err
	}
	switch {
	case req.GetService() != runtimeService:
	case req.GetMethod() == registerPlugin:
		return l.toPlugin.Write(refusal(m, codes.AlreadyExists, "the plugin has registered already"))
	case req.GetMethod() == updateContainers && !l.registered.Load():
		return l.toPlugin.Write(refusal(m, codes.FailedPrecondition, "the runtime has not registered the plugin yet"))
	case req.GetMethod() == updateContainers:
		size := len(m.Payload)
		if err := l.asks.begin(size); err != nil {
			return l.toPlugin.Write(refusal(m, codes.ResourceExhausted, err.Error()))
		}
		m.Payload = nil
		l.apart(func() error { return l.judgeUnsolicited(m, req, size) })
		return nil
	}
	return l.toPlugin.Write(refusal(m, codes.Unimplemented, unimplemented(req)))
}

// forward sends a request of the plugin's to the runtime. asks.begin made room for
// it.
func (l *link) forward(k ask, req *ttrpc.Request, size int) error {
	payload, err := proto.Marshal(req)
	if err != nil {
		return err
	}
	return l.asks.number(k, size, func(stream uint32) error {
		return l.toRuntime.Write(wire.Message{
			Conn: multiplex.RuntimeServiceConn, Stream: stream, Type: wire.Request, Payload: payload,
		})
	})
}

// reply relays the runtime's answer to a request of the plugin's.
func (l *link) reply(m wire.Message) error {
	k, ok := l.asks.answered(m.Stream)
	if m.Type != wire.Response || !ok {
		return fmt.Errorf("a message of type %d about request %d, which is not under way", m.Type, m.Stream)
	}
	if k.register {
		if err := l.settled(m); err != nil {
			return err
		}
	}
	m.Stream = k.stream
	return l.toPlugin.Write(m)
}

// settled takes note of the runtime's answer to the registration.
func (l *link) settled(m wire.Message) error {
	rsp := &ttrpc.Response{}
	if err := proto.Unmarshal(m.Payload, rsp); err != nil {
		return fmt.Errorf("the answer to the registration cannot be read: %w", err)
	}
	if rsp.GetStatus().GetCode() == int32(codes.OK) {
		l.registered.Store(true)
		log.G(l.ctx).Infof("Plugin %s registered, %s", l.plugin, describe(l.plugin.Identity))
	}
	return nil
}

// join has the ledger know that the runtime consults the plugin from now on.
func (l *link) join() {
	if l.proxy.cfg.Ledger == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.member == nil {
		l.member = l.proxy.cfg.Ledger.Join(l.plugin)
	}
}

// depart has the ledger know that it does not any more.
func (l *link) depart() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.member != nil {
		l.member.Leave()
	}
}

// approve has the ledger know what the plugin gets.
func (l *link) approve(r *engine.Review) {
	l.mu.Lock()
	m := l.member
	l.mu.Unlock()
	if m != nil {
		m.Approve(r)
	}
}
