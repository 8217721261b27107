package nri_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
)

// testDaemon is a container runtime, as far as NRI can tell.
type testDaemon struct {
	nri    *nri.Integration
	log    *testLog
	ctx    context.Context
	engine *engine.Engine

	mu         sync.Mutex
	containers map[string]*api.Container
	updated    []string
	failSync   error
}

// testPolicies judge by a function. It may be nil, and then nothing is denied.
type testPolicies struct {
	revision string
	judge    func(*engine.Review) []engine.Violation
}

func (p testPolicies) Judge(_ context.Context, r *engine.Review) engine.Verdict {
	if p.judge == nil {
		return engine.Verdict{}
	}
	return engine.Verdict{Violations: p.judge(r)}
}

func (p testPolicies) Revision() string { return p.revision }

// rules make a set of rules out of a function.
func rules(judge func(*engine.Review) []engine.Violation) engine.Rules {
	return engine.Rules{Policies: testPolicies{revision: "first", judge: judge}}
}

// objectTo objects to every change of a field.
func objectTo(field engine.Field, how engine.Enforcement) func(*engine.Review) []engine.Violation {
	return func(r *engine.Review) []engine.Violation {
		var list []engine.Violation
		for _, c := range r.Changes {
			if c.Field == field {
				list = append(list, engine.Violation{Policy: "no_" + string(field), Change: c.ID, Enforcement: how})
			}
		}
		return list
	}
}

// newTestDaemon prepares a daemon; change may adapt its configuration, and the
// result is what to start NRI with.
func newTestDaemon(t *testing.T, r engine.Rules) (*testDaemon, nri.Config) {
	t.Helper()
	// Sockets have short paths; those of t.TempDir are long.
	dir, err := os.MkdirTemp("", "nri")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d := &testDaemon{containers: map[string]*api.Container{}, engine: engine.New(r)}
	d.log, d.ctx = newTestLog(t)
	return d, nri.Config{
		Enable: true, Name: "testd", Version: "1.2.3",
		PluginPath: filepath.Join(dir, "plugins"), PluginConfigPath: filepath.Join(dir, "conf"),
		SocketPath: filepath.Join(dir, "nri.sock"),
		Engine:     d.engine, Sync: d.sync, Update: d.update,
	}
}

// startTestDaemon starts NRI and shuts it down at the end of the test.
func startTestDaemon(t *testing.T, r engine.Rules, change ...func(*nri.Config)) (*testDaemon, nri.Config) {
	t.Helper()
	d, cfg := newTestDaemon(t, r)
	for _, c := range change {
		c(&cfg)
	}
	d.start(t, cfg)
	return d, cfg
}

func (d *testDaemon) start(t *testing.T, cfg nri.Config) {
	t.Helper()
	n, err := nri.New(d.ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.nri = n
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), patience)
		defer cancel()
		if err := n.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
}

func testPod(id string) *api.PodSandbox {
	return &api.PodSandbox{Id: "pod-" + id, Name: id, Namespace: "default"}
}

func testContainer(id string) *api.Container {
	return &api.Container{Id: id, PodSandboxId: "pod-" + id, Name: id, Args: []string{"sh"}, Env: []string{"PATH=/bin"},
		Linux: &api.LinuxContainer{Resources: &api.LinuxResources{}}}
}

func (d *testDaemon) sync(context.Context) ([]*api.PodSandbox, []*api.Container, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var pods []*api.PodSandbox
	var containers []*api.Container
	for _, id := range slices.Sorted(maps.Keys(d.containers)) {
		pods = append(pods, testPod(id))
		containers = append(containers, d.containers[id])
	}
	return pods, containers, d.failSync
}

func (d *testDaemon) update(_ context.Context, updates []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var failed []*api.ContainerUpdate
	for _, u := range updates {
		if d.containers[u.GetContainerId()] == nil {
			failed = append(failed, u)
			continue
		}
		d.updated = append(d.updated, fmt.Sprintf("%s shares=%d", u.GetContainerId(), u.GetLinux().GetResources().GetCpu().GetShares().GetValue()))
	}
	return failed, nil
}

// carriedOut returns the updates that reached the daemon, and forgets them.
func (d *testDaemon) carriedOut() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := d.updated
	d.updated = nil
	return list
}

func (d *testDaemon) add(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.containers[id] = testContainer(id)
}

// create creates a container as a daemon should.
func (d *testDaemon) create(id string) (*api.ContainerAdjustment, error) {
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	adjust, release, err := d.nri.CreateContainer(ctx, testPod(id), testContainer(id))
	if err != nil {
		return nil, err
	}
	d.add(id)
	release()
	return adjust, nil
}

// remove removes a container as a daemon should.
func (d *testDaemon) remove(id string) error {
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	release, err := d.nri.RemoveContainer(ctx, testPod(id), testContainer(id))
	d.mu.Lock()
	delete(d.containers, id)
	d.mu.Unlock()
	release()
	return err
}

// shares is an update of a container's CPU shares.
func shares(id string, n uint64) *api.ContainerUpdate {
	u := &api.ContainerUpdate{}
	u.SetContainerId(id)
	u.SetLinuxCPUShares(n)
	return u
}

// logBook keeps what the process logs. NRI logs partly on goroutines of its own,
// without the context of a test.
type logBook struct {
	mu    sync.Mutex
	lines []string
	also  io.Writer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, string(p))
	return b.also.Write(p)
}

// testLog is the part of the book that a test is responsible for.
type testLog struct {
	book *logBook
	from int
	mark string
}

// newTestLog returns a context that logs into the book.
func newTestLog(t *testing.T) (*testLog, context.Context) {
	book, ok := log.L.Logger.Out.(*logBook)
	if !ok {
		t.Fatal("the log is not kept")
	}
	name := "[" + t.Name() + "]" // always put in quotes by the logger
	l := &testLog{book: book, from: len(book.find(0)), mark: fmt.Sprintf("test=%q", name)}
	return l, log.WithLogger(t.Context(), log.L.WithField("test", name))
}

// find returns the lines from an index on that contain all the words.
func (b *logBook) find(from int, words ...string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []string
	for _, line := range b.lines[from:] {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			list = append(list, line)
		}
	}
	return list
}

// warnings of the test's own, and errors.
func (l *testLog) warnings() []string {
	return append(l.book.find(l.from, "level=warning", l.mark), l.errors()...)
}

func (l *testLog) errors() []string { return l.book.find(l.from, "level=error", l.mark) }

// everybody leaves nobody out: for tests that do not run beside others.
func (l *testLog) everybody() *testLog {
	return &testLog{book: l.book, from: l.from}
}

// eventually waits for something that happens on another goroutine.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("it never came to pass that %s", what)
}

// mustSay demands an error with the words.
func mustSay(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error; want one that says %q", words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

// mustDeny demands the typed denial of an operation, with the words.
func mustDeny(t *testing.T, err error, op engine.Operation, words ...string) {
	t.Helper()
	mustSay(t, err, words...)
	var denied *engine.Denied
	if !errors.As(err, &denied) || denied.Operation != op {
		t.Errorf("error %v is no denial of %s", err, op)
	}
}
