package proxy_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/sirupsen/logrus"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/proxy"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(processVar); name != "" {
		if err := processes[name](); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if name := os.Getenv(api.PluginNameEnvVar); name != "" {
		if err := runLaunched(name); err != nil {
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	if !testing.Verbose() {
		log.L.Logger.SetOutput(io.Discard)
	}
	adaptation.SetPluginRequestTimeout(patience)
	os.Exit(m.Run())
}

// testPolicies judge by a function. It may be nil, and then nothing is denied.
type testPolicies struct {
	judge func(*engine.Review) []engine.Violation
}

func (p testPolicies) Judge(_ context.Context, r *engine.Review) engine.Verdict {
	if p.judge == nil {
		return engine.Verdict{}
	}
	return engine.Verdict{Violations: p.judge(r)}
}

func (testPolicies) Revision() string { return "test" }

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

// decisions keeps what was decided.
type decisions struct {
	mu   sync.Mutex
	list []decided
}

type decided struct {
	review   *engine.Review
	decision *engine.Decision
}

func (d *decisions) Record(_ context.Context, r *engine.Review, made *engine.Decision) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, decided{r, made})
	return nil
}

// of returns the decisions about an operation.
func (d *decisions) of(op engine.Operation) []decided {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(d.list), func(x decided) bool { return x.review.Operation != op })
}

// rig is a proxy in front of a runtime.
type rig struct {
	runtime   *testRuntime
	proxy     *proxy.Proxy
	socket    string
	engine    *engine.Engine
	decisions *decisions
	log       *logBook
	stop      func()
	cfg       proxy.Config
}

// newRig starts a runtime and a proxy in front of it, and stops both at the end of
// the test.
func newRig(t testing.TB, judge func(*engine.Review) []engine.Violation, change ...func(*proxy.Config)) *rig {
	t.Helper()
	return rigFor(t, newTestRuntime(t), judge, change...)
}

func rigFor(t testing.TB, runtime *testRuntime, judge func(*engine.Review) []engine.Violation, change ...func(*proxy.Config)) *rig {
	t.Helper()
	r := &rig{runtime: runtime, decisions: &decisions{}, log: &logBook{}, socket: filepath.Join(shortDir(t), "nri.sock")}
	r.engine = engine.New(engine.Rules{Policies: testPolicies{judge}, Recorder: r.decisions, Timeout: patience})
	cfg := proxy.Config{
		Engine: r.engine, Socket: proxy.Socket{Path: r.socket},
		Runtime: r.runtime.socket, Lookup: r.runtime.lookup,
		Limits: proxy.Limits{Registrations: 1 << 20}, // those of a test are all of one process
	}
	for _, c := range change {
		c(&cfg)
	}
	r.cfg = cfg
	r.run(t)
	return r
}

// run runs a proxy until the test, or stop, ends it.
func (r *rig) run(t testing.TB) {
	t.Helper()
	p, err := proxy.New(r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.proxy = p
	ctx, cancel := context.WithCancel(r.log.context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	eventually(t, "the proxy listens", func() bool { return p.Status().Listening || len(done) > 0 })
}

// logBook keeps what a proxy logs.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if testing.Verbose() {
		_, _ = os.Stderr.Write(p)
	}
	return b.text.Write(p)
}

func (b *logBook) context() context.Context {
	logger := logrus.New()
	logger.SetOutput(b)
	return log.WithLogger(context.Background(), logrus.NewEntry(logger))
}

// lines returns those that hold all the words.
func (b *logBook) lines(words ...string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(strings.Split(b.text.String(), "\n"), func(line string) bool {
		return line == "" || slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
	})
}
