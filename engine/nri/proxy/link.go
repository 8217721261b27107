package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

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
	// visitor is nil where the proxy started the plugin.
	visitor *visitor

	conn, upstream          net.Conn
	fromPlugin, fromRuntime *wire.Reader
	toPlugin, toRuntime     *wire.Writer

	calls calls
	asks  asks
	// holding is what these and half messages of the plugin take.
	holding holding
	// asking is held while one of those is judged, and pace goes with it.
	asking turn
	pace   pace
	// lastAsk is the number of the plugin's latest request.
	lastAsk uint32
	// registered is set when the runtime has taken the plugin.
	registered atomic.Bool
	// judges has what the runtime told the plugin when it configured it.
	judges *nri.Judge
	// jobs are for those who judge apart from the relaying, of whom judging counts
	// the goroutines and working those at work. silent is closed when the plugin has
	// said all.
	jobs    chan func() error
	judging sync.WaitGroup
	working atomic.Int32
	silent  chan struct{}

	mu     sync.Mutex
	ended  bool
	cause  error
	member *nri.Member // of the ledger, from synchronisation on
}

func newLink(ctx context.Context, p *Proxy, conn net.Conn, who *peer.Peer, v *visitor, own *launched) *link {
	limits := p.cfg.Limits
	l := &link{
		proxy: p, ctx: ctx, own: own, who: who, visitor: v, conn: conn,
		fromPlugin: wire.NewReader(conn),
		toPlugin:   wire.NewWriter(conn, limits.Write),
		jobs:       make(chan func() error),
		silent:     make(chan struct{}),
		asking:     make(turn, 1),
		pace:       pace{perSecond: limits.Updates, burst: burst},
		asks:       asks{maxCount: limits.Requests, maxBytes: limits.RequestBytes},
	}
	l.holding = holding{in: &p.holdings, of: l.process(), end: l.end}
	l.asks.memory = &l.holding
	l.fromPlugin.Account(&l.holding)
	l.judges = nri.NewJudge(court{l}, nri.Border{
		Runtime: *p.runtime.Load(), HostRoot: p.cfg.HostRoot, Places: p.places, Lookup: p.cfg.Lookup,
	})
	return l
}

// process is whose the connection is.
func (l *link) process() process {
	if l.visitor == nil {
		return process{pid: l.own.pid, uid: int64(os.Geteuid())}
	}
	return l.visitor.process
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
	l.ended = true
	if l.cause == nil {
		l.cause = cause
	}
	_ = l.conn.Close()
}

// blame has a reason be the one, whoever hangs up first.
func (l *link) blame(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause == nil {
		l.cause = cause
	}
}

// relay relays in both directions until one of them ends; then it ends the other.
// What the plugin had answered by then is still judged and relayed.
func (l *link) relay() error {
	ended := make(chan bool, 1)
	go func() {
		err := recovering(l.ctx, l.relayRuntime)
		l.hangUp(from("the runtime", err))
		ended <- errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
	}()
	err := from("the plugin", recovering(l.ctx, l.relayPlugin))
	close(l.silent)
	l.judging.Wait()
	l.depart(l.takeLeave(err, ended))
	return l.cause
}

// leaveTaken is how long it may take the runtime to notice that a plugin has left.
const leaveTaken = time.Second

// takeLeave tells the runtime that the plugin has gone, and closes everything when it
// hangs up too, or does not. It says whether the runtime has noticed.
func (l *link) takeLeave(why error, ended <-chan bool) (noticed bool) {
	l.hangUp(why)
	if conn, ok := l.upstream.(*net.UnixConn); ok {
		_ = conn.CloseWrite() // what is wrong with it the reader finds
	}
	select {
	case noticed = <-ended:
		l.end(why)
	case <-time.After(leaveTaken):
		l.end(why)
		<-ended
	}
	return noticed
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
