package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/nri/pkg/api"
	rspec "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
	"github.com/nri-guard/nri-guard/engine/nri/oci"
)

// demoDaemon is a container runtime but for the containers: it has NRI embedded,
// asks it about each container, and has an OCI spec in the end.
type demoDaemon struct {
	dir     string
	nri     *nri.Integration
	plugins []*demoProcess
	// witness sees the decisions that are made.
	witness *witness

	mu         sync.Mutex
	pods       []*api.PodSandbox
	containers []*api.Container
}

// startDemoDaemon starts NRI on a socket in a new temporary directory. Policies
// see a host whose root is there, too, so that the machine it runs on makes no
// difference.
func startDemoDaemon(ctx context.Context, rules engine.Rules) (_ *demoDaemon, err error) {
	d := &demoDaemon{witness: &witness{}}
	if d.dir, err = os.MkdirTemp("", "nri-guard-demo-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.stop())
		}
	}()
	for _, dir := range []string{"host/srv/cache", "host/srv/toolchain", "plugins", "config"} {
		if err := os.MkdirAll(filepath.Join(d.dir, dir), 0o700); err != nil {
			return nil, err
		}
	}
	rules.Recorder = d.witness
	d.nri, err = nri.New(ctx, nri.Config{
		Enable:           true,
		Name:             "nri-guard-demo",
		Version:          buildVersions().Version,
		PluginPath:       filepath.Join(d.dir, "plugins"),
		PluginConfigPath: filepath.Join(d.dir, "config"),
		SocketPath:       d.socket(),
		HostRoot:         filepath.Join(d.dir, "host"),
		Engine:           engine.New(rules),
		Sync:             d.existing,
	})
	if err != nil {
		return nil, fmt.Errorf("starting NRI: %w", err)
	}
	return d, nil
}

func (d *demoDaemon) socket() string { return filepath.Join(d.dir, "nri.sock") }

// existing tells a plugin that registers what there is.
func (d *demoDaemon) existing(context.Context) ([]*api.PodSandbox, []*api.Container, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pods, d.containers, nil
}

// launch starts a plugin in a process of its own and waits until it is connected.
func (d *demoDaemon) launch(ctx context.Context, p demoPlugin) (pid int, err error) {
	process, err := startDemoProcess(ctx, p, d.socket())
	if err != nil {
		return 0, err
	}
	d.plugins = append(d.plugins, process)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, connected := range d.nri.Info().Plugins {
			if connected == p.index+"-"+p.name {
				return process.cmd.Process.Pid, nil
			}
		}
		select {
		case <-tick.C:
		case <-process.ended:
			return 0, fmt.Errorf("plugin %s-%s ended before it was connected: %s", p.index, p.name, process.output())
		case <-ctx.Done():
			return 0, fmt.Errorf("waiting for plugin %s-%s: %w", p.index, p.name, context.Cause(ctx))
		}
	}
}

// create asks the plugins about a container and applies what they may have. The
// error is a denial, or says what went wrong.
func (d *demoDaemon) create(ctx context.Context, pod *api.PodSandbox, spec *rspec.Spec, c *api.Container) error {
	adjust, release, err := d.nri.CreateContainer(ctx, pod, c)
	defer release()
	if err != nil {
		return err
	}
	if err := oci.Apply(spec, adjust); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pods = append(d.pods, pod)
	d.containers = append(d.containers, c)
	return nil
}

// stop ends everything that was started and removes the directory.
func (d *demoDaemon) stop() error {
	var errs []error
	for _, p := range d.plugins {
		errs = append(errs, p.stop())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	errs = append(errs, d.nri.Shutdown(ctx), os.RemoveAll(d.dir))
	return errors.Join(errs...)
}

// witness keeps the last decision and what it was about.
type witness struct {
	mu       sync.Mutex
	review   *engine.Review
	decision *engine.Decision
}

// Record implements [engine.Recorder].
func (w *witness) Record(_ context.Context, r *engine.Review, d *engine.Decision) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.review, w.decision = r, d
	return nil
}

// last returns the last decision and forgets it.
func (w *witness) last() (*engine.Review, *engine.Decision) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, d := w.review, w.decision
	w.review, w.decision = nil, nil
	return r, d
}

// demoProcess is a plugin's process: this program, executed again.
type demoProcess struct {
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	// ended is closed when the process has.
	ended chan struct{}
}

func startDemoProcess(ctx context.Context, p demoPlugin, socket string) (*demoProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	process := &demoProcess{
		cmd:    exec.CommandContext(ctx, self, "demo-plugin", "--socket", socket, p.name),
		stderr: &bytes.Buffer{},
		ended:  make(chan struct{}),
	}
	process.cmd.Stderr = process.stderr
	process.cmd.WaitDelay = time.Second
	if err := process.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting plugin %s-%s: %w", p.index, p.name, err)
	}
	go func() {
		defer close(process.ended)
		_ = process.cmd.Wait() // how it ended is not interesting, only what it said
	}()
	return process, nil
}

// output is what the process said; it must have ended.
func (p *demoProcess) output() string { return strings.TrimSpace(p.stderr.String()) }

// stop asks the process to end, and makes it when it does not.
func (p *demoProcess) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(2 * time.Second):
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	return nil
}
