package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/api"
	nrinet "github.com/containerd/nri/pkg/net"
)

// launched is a plugin that the proxy has started: it is called what its file is
// called, and has a configuration.
type launched struct {
	path        string
	program     string // that path leads to
	name, index string
	config      string
	pid         int
	// in is called when the runtime has taken it, or will not yet.
	in func()
}

// launch starts the plugins of the launch directory, once for each run of the runtime:
// like NRI it looks each time what there is by then, and does not start one again that
// ends by itself. Those of one index are started one after the other, since the runtime
// asks them in the order in which they came. It returns when ctx has ended and so have
// they; what they do is done within work, which ends later.
func (p *Proxy) launch(ctx, work context.Context) {
	if p.cfg.Launch.Path == "" {
		return
	}
	p.found(ctx) // so that what is wrong is known before a runtime is there
	var wg sync.WaitGroup
	defer wg.Wait()
	ended := map[string]<-chan struct{}{} // by path: when the one that was started last has
	for socket := p.awaitRuntime(ctx, nil); socket != nil; {
		run, stop := context.WithCancel(ctx)
		current := socket
		p.forget("launch ")
		last := map[string]<-chan struct{}{} // by index: when the one before has come in
		for _, f := range p.found(ctx) {
			before, done := ended[f.path], make(chan struct{})
			ended[f.path] = done
			turn, in := last[f.index], make(chan struct{})
			last[f.index], f.in = in, sync.OnceFunc(func() { close(in) })
			wg.Go(func() {
				defer close(done)
				defer f.in()
				if before != nil {
					<-before
				}
				if turn != nil {
					select {
					case <-turn:
					case <-run.Done():
					}
				}
				p.keep(run, work, f, current)
			})
		}
		socket = p.awaitRuntime(ctx, socket)
		stop()
	}
}

// found returns the plugins that there are to start, and takes note of what is wrong
// with others.
func (p *Proxy) found(ctx context.Context) []*launched {
	plugins, err := p.discover()
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	if p.problem("launch", problem) && err != nil {
		log.G(ctx).WithError(err).Error("Plugins are not started")
	}
	return plugins
}

// Delays between attempts to start a plugin that the runtime was not there for.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// keep runs one plugin for one run of the runtime, which has the socket and ends with
// ctx.
func (p *Proxy) keep(ctx, work context.Context, f *launched, socket fs.FileInfo) {
	for retry := firstRetry; ; retry = min(2*retry, lastRetry) {
		// Another run is not this one's: there may be another configuration by then.
		if now := p.awaitRuntime(ctx, nil); now == nil || another(now, socket) {
			return
		}
		err := p.start(work, f)
		f.in() // whatever became of it
		if !errors.Is(err, errRuntimeAway) || !pause(ctx, retry) {
			return
		}
	}
}

// awaitRuntime waits until the runtime has a socket, another one than before, and
// the guard knows what containers there are. Nil is the end of ctx.
func (p *Proxy) awaitRuntime(ctx context.Context, before fs.FileInfo) fs.FileInfo {
	for ctx.Err() == nil {
		now, err := os.Stat(p.cfg.Runtime)
		if err == nil && (before == nil || another(now, before)) && (p.cfg.Ready == nil || p.cfg.Ready()) {
			return now
		}
		pause(ctx, launchPoll)
	}
	return nil
}

// another says whether a socket is not the one that it was.
func another(now, before fs.FileInfo) bool {
	return !os.SameFile(now, before) || !now.ModTime().Equal(before.ModTime())
}

// launchPoll is how soon it is noticed that a runtime is there.
const launchPoll = 200 * time.Millisecond

// pause waits, and says whether it was not ended early.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// start starts a plugin as NRI does, relays its connection, and kills it when that
// ends.
func (p *Proxy) start(ctx context.Context, f *launched) error {
	sockets, err := nrinet.NewSocketPair()
	if err != nil {
		return p.notStarted(ctx, f, err)
	}
	defer sockets.Close()
	local, err := sockets.LocalConn()
	if err != nil {
		return p.notStarted(ctx, f, err)
	}
	conn := local.(*net.UnixConn)
	defer conn.Close() //nolint:errcheck // nobody to tell
	cmd := &exec.Cmd{Path: f.program, Args: []string{f.path}}
	cmd.ExtraFiles = []*os.File{sockets.PeerFile()}
	cmd.Env = []string{
		api.PluginNameEnvVar + "=" + f.name,
		api.PluginIdxEnvVar + "=" + f.index,
		api.PluginSocketEnvVar + "=3",
	}
	if err := cmd.Start(); err != nil {
		return p.notStarted(ctx, f, err)
	}
	sockets.PeerClose()
	p.problem("launch "+f.path, "")
	own := *f
	own.pid = cmd.Process.Pid
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		err := cmd.Wait()
		log.G(ctx).WithError(err).Infof("Plugin %s has ended", filepath.Base(f.path))
		_ = conn.Close() // a child of the plugin may hold its end open
	}()
	err = p.serve(ctx, conn, nil, &own)
	_ = cmd.Process.Kill()
	<-exited
	return err
}

// notStarted takes note of a plugin that could not be started.
func (p *Proxy) notStarted(ctx context.Context, f *launched, err error) error {
	err = fmt.Errorf("plugin %s could not be started: %w", f.path, err)
	p.problem("launch "+f.path, err.Error())
	log.G(ctx).Error(err)
	return err
}
