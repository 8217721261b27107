package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/nri-guard/nri-guard/tests/e2e/internal/containerd"
	"github.com/nri-guard/nri-guard/tests/e2e/internal/cri"
	"github.com/nri-guard/nri-guard/tests/e2e/internal/docker"
	"github.com/nri-guard/nri-guard/tests/e2e/internal/process"
)

// patience bounds everything that is waited for; nothing should come near it.
const patience = 60 * time.Second

// mode is how the guard stands between plugins and runtime.
type mode string

const (
	direct    mode = "direct" // no guard
	validator mode = "validator"
	proxy     mode = "proxy"
	both      mode = "both"
)

func (m mode) validates() bool { return m == validator || m == both }
func (m mode) relays() bool    { return m == proxy || m == both }

// Sockets, as docs/deploying.md has them.
const (
	pluginSocket  = "/run/nri/nri.sock"         // where plugins look for NRI
	runtimeSocket = "/run/nri-runtime/nri.sock" // the runtime's with the proxy
)

// runtimeSocket is where the runtime listens for plugins.
func (m mode) runtimeSocket() string {
	if m.relays() {
		return runtimeSocket
	}
	return pluginSocket
}

// node is a machine with a container runtime, plugins, and perhaps the guard.
type node struct {
	*testing.T
	ctx        context.Context
	dir        string
	mode       mode
	socket     string // where the runtime listens for plugins
	containerd *containerd.Containerd
	docker     *docker.Docker // nil without
	guard      *guard
}

// setup is what a test wants of a node.
type setup struct {
	mode     mode
	required []string // required_plugins of containerd
	guard    string   // further configuration of the guard
	// runtime may change containerd's configuration.
	runtime func(*containerd.Config)
	// unguarded nodes start without the guard, which their mode then only prepares.
	unguarded bool
	// docker is for dockerd in containerd's place, which then has no NRI.
	docker bool
}

// plain is a name that needs no quotes anywhere.
func plain(name string) string {
	return regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(name, "-")
}

// start starts a node and stops it with the test.
func start(t *testing.T, s setup) *node {
	t.Helper()
	dir := work(plain(t.Name()))
	must(t, os.MkdirAll(dir, 0o700))
	for _, socket := range []string{pluginSocket, runtimeSocket} {
		must(t, os.RemoveAll(filepath.Dir(socket)))
		must(t, os.MkdirAll(filepath.Dir(socket), 0o700))
	}
	n := &node{T: t, dir: dir, mode: s.mode, socket: s.mode.runtimeSocket()}
	var cancel context.CancelFunc
	n.ctx, cancel = context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	config := containerd.Config{
		Dir: dir, Tools: work(runtimes), Image: work(imageFile),
		NRISocket: n.socket, RequiredPlugins: s.required,
	}
	if s.docker {
		config.NRISocket = ""
	}
	if s.runtime != nil {
		s.runtime(&config)
	}
	var err error
	n.containerd, err = containerd.Start(n.ctx, config)
	must(t, err)
	t.Cleanup(func() {
		n.report(n.containerd.Process)
		n.containerd.Stop()
	})
	if s.docker {
		n.startDocker()
	}
	if s.mode != direct {
		n.guard = newGuard(n, s.guard)
		if !s.unguarded {
			n.guard.start()
		}
	}
	return n
}

func (n *node) startDocker() {
	n.Helper()
	var err error
	n.docker, err = docker.Start(n.ctx, docker.Config{
		Dir: n.dir, Tools: work(runtimes), Image: work(imageFile), Containerd: n.containerd.Address,
		NRISocket: n.socket, CgroupParent: cri.CgroupParent,
	})
	must(n.T, err)
	n.Cleanup(func() {
		n.report(n.docker.Process)
		n.docker.Stop()
	})
}

// report shows the end of a log when the test has failed.
func (n *node) report(p *process.Process) {
	if n.Failed() {
		n.Log(p.Tail(25))
	}
}

// plugin starts an external plugin and returns when it is registered.
func (n *node) plugin(program string, args ...string) *process.Process {
	n.Helper()
	p := n.spawn(program, args...)
	n.logs(p, "registered")
	return p
}

// logs waits until a process has written something.
func (n *node) logs(p *process.Process, text string) {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.ctx, patience)
	defer cancel()
	must(n.T, p.WaitFor(ctx, "it writes "+text, func(context.Context) error {
		if strings.Contains(p.Tail(1000), text) {
			return nil
		}
		return errors.New("it has not")
	}))
}

// connected waits until the runtime's log says that it knows a plugin, for those
// that do not say so themselves.
func (n *node) connected(name string, p *process.Process) {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.ctx, patience)
	defer cancel()
	must(n.T, p.WaitFor(ctx, "the runtime knows it", func(context.Context) error {
		log, err := os.ReadFile(n.containerd.Log)
		if err == nil && !regexp.MustCompile(`[0-9]-`+name+`\W+connected and synchronized`).Match(log) {
			err = errors.New("the runtime's log does not name it")
		}
		return err
	}))
}

// spawn starts a program of the tests and stops it with the test.
func (n *node) spawn(program string, args ...string) *process.Process {
	n.Helper()
	log := filepath.Join(n.dir, fmt.Sprintf("%s-%d.log", filepath.Base(program), time.Now().UnixNano()))
	if !filepath.IsAbs(program) {
		program = work(binDir, program)
	}
	p, err := process.Start(log, exec.Command(program, args...))
	must(n.T, err)
	n.Cleanup(func() {
		n.report(p)
		p.Stop()
	})
	return p
}

// obedient starts the plugin that does what pods' authors say, under a name.
func (n *node) obedient(index, name string) *process.Process {
	n.Helper()
	return n.plugin("obedient", "-idx", index, "-name", name, "-socket", pluginSocket)
}

// pod runs a pod and removes it with the test. Orders are for plugins.
func (n *node) pod(namespace string, annotations map[string]string) *cri.Pod {
	n.Helper()
	pod, err := n.containerd.CRI.RunPod(n.ctx, namespace, fmt.Sprintf("pod-%d", time.Now().UnixNano()), annotations)
	must(n.T, err)
	n.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := pod.Remove(ctx); err != nil {
			n.Logf("removing a pod: %v", err)
		}
	})
	return pod
}

// orders are annotations that make the obedient plugin of a name do something for
// the container of a name.
func orders(plugin, container, order string) map[string]string {
	return map[string]string{plugin + ".e2e/" + container: order}
}

// spec reads the OCI runtime specification that a container was created with.
func (n *node) spec(c *cri.Container) *specs.Spec {
	n.Helper()
	data, err := os.ReadFile(n.containerd.Bundle("k8s.io", c.ID))
	must(n.T, err)
	spec := &specs.Spec{}
	must(n.T, json.Unmarshal(data, spec))
	return spec
}

// create creates and starts a container; mutate may change what is asked for.
func (n *node) create(pod *cri.Pod, name string, mutate ...func(*runtime.ContainerConfig)) *cri.Container {
	n.Helper()
	c, err := pod.Create(n.ctx, name, mutate...)
	must(n.T, err)
	must(n.T, c.Start(n.ctx))
	return c
}

// exec runs a command in a container and returns what it writes.
func (n *node) exec(c *cri.Container, command ...string) string {
	n.Helper()
	out, err := c.Exec(n.ctx, command...)
	must(n.T, err)
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
