package tests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long what must happen may take.
const patience = 60 * time.Second

// program builds nri-guard, once for all tests.
var program = sync.OnceValues(func() (string, error) {
	file := filepath.Join(os.Getenv(programs), "nri-guard")
	if out, err := exec.Command("go", "build", "-o", file, "../cmd/nri-guard").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return file, nil
})

// node is a directory with what is on a node: a runtime's socket, the guard's, and the
// guard's configuration.
type node struct {
	t       testing.TB
	dir     string
	runtime string // the runtime's socket
	plugins string // the guard's socket
	config  string
}

func newNode(t testing.TB) *node {
	t.Helper()
	dir, err := os.MkdirTemp("", "nri") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	n := &node{t: t, dir: dir, runtime: filepath.Join(dir, "runtime/nri.sock"), plugins: filepath.Join(dir, "guard/nri.sock"),
		config: filepath.Join(dir, "config.yaml")}
	for _, d := range []string{"runtime", "guard", "policies"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// The sections that make a guard, for node.write. DIR stands for the node's directory.
const (
	asValidator = "validator: {enabled: true}\n"
	asProxy     = "proxy: {enabled: true, socket: DIR/guard/nri.sock}\n"
	asBoth      = asValidator + asProxy
)

// write writes a file of the node and its directory, in one go as editors do.
func (n *node) write(name, text string) {
	n.t.Helper()
	file := filepath.Join(n.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		n.t.Fatal(err)
	}
	err := os.WriteFile(file+".new", []byte(strings.ReplaceAll(text, "DIR", n.dir)), 0o644)
	if err := errors.Join(err, os.Rename(file+".new", file)); err != nil {
		n.t.Fatal(err)
	}
}

// configure writes the configuration: what every test needs, and more.
func (n *node) configure(more string) {
	n.t.Helper()
	if !strings.Contains(more, "policy:") {
		more += "policy: {timeout: 20s}\n"
	}
	n.write("config.yaml", "version: 1\nruntime: {socket: DIR/runtime/nri.sock, hostRoot: DIR}\nadmin: {address: '127.0.0.1:0'}\n"+more)
}

// guard is nri-guard in a process of its own.
type guard struct {
	*node
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has
	mu    sync.Mutex
	log   []map[string]any
	raw   bytes.Buffer
}

// start starts nri-guard run; env is added to its environment.
func (n *node) start(env ...string) *guard {
	n.t.Helper()
	file, err := program()
	if err != nil {
		n.t.Fatal(err)
	}
	g := &guard{node: n, ended: make(chan struct{})}
	g.cmd = exec.Command(file, "run", "--config", n.config, "--log-format", "json", "--log-level", "debug")
	g.cmd.Env = append(os.Environ(), env...)
	stderr, err := g.cmd.StderrPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := g.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	go func() {
		g.read(stderr)
		_ = g.cmd.Wait() // how it ended is in ProcessState
		close(g.ended)
	}()
	n.t.Cleanup(func() {
		_ = g.cmd.Process.Kill()
		<-g.ended
		if n.t.Failed() {
			n.t.Logf("nri-guard said:\n%s", g.raw.String())
		}
	})
	return g
}

// read takes in what the guard logs, every line of which is JSON.
func (g *guard) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<20) // what is not read would keep the guard waiting
	for lines.Scan() {
		entry := map[string]any{}
		err := json.Unmarshal(lines.Bytes(), &entry)
		g.mu.Lock()
		g.raw.Write(append(lines.Bytes(), '\n'))
		if err != nil {
			entry = map[string]any{"msg": "no JSON: " + lines.Text(), "level": "broken"}
		}
		g.log = append(g.log, entry)
		g.mu.Unlock()
	}
}

// logged returns the messages that hold a text.
func (g *guard) logged(text string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []string
	for _, entry := range g.log {
		if m, _ := entry["msg"].(string); strings.Contains(m, text) {
			list = append(list, m)
		}
	}
	return list
}

// address of the admin endpoints, once it is known.
func (g *guard) address() string {
	for _, m := range g.logged("Serving /healthz") {
		return m[strings.Index(m, "http://"):]
	}
	return ""
}

// status is what /readyz says in JSON.
type status struct {
	Code     int
	Status   string
	Problems []string
	Warnings []string
	Revision string
	Plugins  []string
}

func (g *guard) ready() (s status) {
	body, code := g.get("/readyz?format=json")
	if err := json.Unmarshal(body, &s); err != nil {
		return status{Status: err.Error()}
	}
	s.Code = code
	return s
}

func (g *guard) get(path string) ([]byte, int) {
	address := g.address()
	if address == "" {
		return nil, 0
	}
	client := http.Client{Timeout: patience}
	r, err := client.Get(address + path)
	if err != nil {
		return nil, 0
	}
	defer r.Body.Close() //nolint:errcheck // only read from
	body, _ := io.ReadAll(r.Body)
	return body, r.StatusCode
}

// becomes waits until /readyz has the status, and returns all that it says.
func (g *guard) becomes(want string) status {
	g.t.Helper()
	var s status
	g.eventually("the guard is "+want, func() bool { s = g.ready(); return s.Status == want })
	return s
}

// with waits until so many plugins are connected through the proxy.
func (g *guard) with(plugins int) {
	g.t.Helper()
	g.eventually(fmt.Sprintf("%d plugins are connected", plugins), func() bool { return len(g.ready().Plugins) == plugins })
}

// eventually waits for something while the guard runs.
func (g *guard) eventually(what string, is func() bool) {
	g.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if is() {
			return
		}
		select {
		case <-g.ended:
			g.t.Fatalf("the guard has ended (%s); want: %s", g.cmd.ProcessState, what)
		default:
		}
	}
	g.t.Fatalf("it never came to pass that %s", what)
}

func (g *guard) signal(s syscall.Signal) {
	g.t.Helper()
	if err := g.cmd.Process.Signal(s); err != nil {
		g.t.Fatal(err)
	}
}

// exits waits for the end of the process and returns its exit code.
func (g *guard) exits() int {
	g.t.Helper()
	select {
	case <-g.ended:
		return g.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		g.t.Fatal("the guard does not end")
		return 0
	}
}
