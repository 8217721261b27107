package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nri-guard/nri-guard/tests/e2e/internal/process"
)

// guard is nri-guard run.
type guard struct {
	*process.Process
	node  *node
	admin string // address
	file  string // configuration
	log   string // decisions
}

// newGuard writes a configuration: the node's mode and whatever else is said.
func newGuard(n *node, more string) *guard {
	n.Helper()
	g := &guard{node: n, admin: freeAddress(n.T), file: filepath.Join(n.dir, "guard", "config.yaml"), log: filepath.Join(n.dir, "decisions", "decisions.ndjson")}
	must(n.T, os.MkdirAll(filepath.Dir(g.file), 0o700)) // of its own: the guard watches it
	must(n.T, os.MkdirAll(filepath.Dir(g.log), 0o700))
	g.configure(more)
	return g
}

func (g *guard) configure(more string) {
	g.node.Helper()
	m := g.node.mode
	text := fmt.Sprintf("version: 1\nruntime: {socket: %s}\nvalidator: {enabled: %v}\nproxy: {enabled: %v, socket: %s}\naudit: {path: %s, maxSize: 4000}\nadmin: {address: %q}\n%s\n",
		g.node.socket, m.validates(), m.relays(), pluginSocket, g.log, g.admin, more)
	must(g.node.T, os.WriteFile(g.file, []byte(text), 0o600))
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close() //nolint:errcheck // it only found an address
	return l.Addr().String()
}

// start starts the guard and returns when it is ready.
func (g *guard) start() {
	n := g.node
	n.Helper()
	p, err := process.Start(filepath.Join(n.dir, "nri-guard.log"), exec.Command(work(binDir, "nri-guard"), "run", "--config", g.file))
	must(n.T, err)
	if g.Process == nil {
		n.Cleanup(func() {
			n.report(g.Process)
			g.Stop()
		})
	}
	g.Process = p
	g.waitFor("the guard is ready", g.ready)
}

// ready says what keeps the guard from being ready.
func (g *guard) ready(ctx context.Context) error {
	status, body, err := g.get(ctx, "/readyz")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%d: %s", status, body)
	}
	return err
}

// get asks the guard's admin address.
func (g *guard) get(ctx context.Context, path string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.admin+path, nil)
	if err != nil {
		return 0, "", err
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close() //nolint:errcheck // only read from
	data, err := io.ReadAll(r.Body)
	return r.StatusCode, strings.TrimSpace(string(data)), err
}

// waitFor waits until a condition holds.
func (g *guard) waitFor(what string, condition func(context.Context) error) {
	g.node.Helper()
	ctx, cancel := context.WithTimeout(g.node.ctx, patience)
	defer cancel()
	must(g.node.T, g.WaitFor(ctx, what, condition))
}

// decision is what these tests read of a line of the decision log.
type decision struct {
	Operation string `json:"operation"`
	Input     struct {
		Container struct {
			Name string `json:"name"`
		} `json:"container"`
	} `json:"input"`
	Result struct {
		Allowed bool `json:"allowed"`
	} `json:"result"`
	Metrics struct {
		Nanoseconds float64 `json:"timer_decision_ns"`
	} `json:"metrics"`
}

// decisions reads the decision log.
func (g *guard) decisions() []decision {
	g.node.Helper()
	data, err := os.ReadFile(g.log)
	must(g.node.T, err)
	var all []decision
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var d decision
		must(g.node.T, json.Unmarshal(lines.Bytes(), &d))
		all = append(all, d)
	}
	must(g.node.T, lines.Err())
	return all
}
