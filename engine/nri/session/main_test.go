package session

import (
	"context"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/log"
	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/sirupsen/logrus"

	"github.com/nri-guard/nri-guard/engine/nri/internal/nritest"
)

// listenVar makes the test binary a process that listens on a socket and accepts
// what comes, until its standard input ends.
const listenVar = "NRI_GUARD_TEST_LISTEN"

func TestMain(m *testing.M) {
	if socket := os.Getenv(listenVar); socket != "" {
		l, err := net.Listen("unix", socket)
		if err != nil {
			panic(err)
		}
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = l.Close()
		return
	}
	log.L.Logger.SetOutput(io.Discard) // NRI's own, which has no context
	adaptation.SetPluginRequestTimeout(nritest.Patience)
	os.Exit(m.Run())
}

// validating subscribes to validation.
type validating struct {
	validate func(context.Context) error
}

func (v validating) ValidateContainerAdjustment(ctx context.Context, _ *api.ValidateContainerAdjustmentRequest) error {
	if v.validate == nil {
		return nil
	}
	return v.validate(ctx)
}

// creating subscribes to creations.
type creating struct{ create func() }

func (c creating) CreateContainer(context.Context, *api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	c.create()
	return nil, nil, nil
}

// book keeps what is logged.
type book struct {
	mu    sync.Mutex
	lines []string
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, string(p))
	return len(p), nil
}

// with returns the lines that have all of the words.
func (b *book) with(words ...string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []string
	for _, l := range b.lines {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(l, w) }) {
			list = append(list, l)
		}
	}
	return list
}

// running is a session that has been started.
type running struct {
	*Session
	t    *testing.T
	log  *book
	stop func()
}

// run runs a session until the end of the test, or until it is stopped.
func run(t *testing.T, cfg Config) *running {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name, cfg.Index = "tested", "50"
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{Session: s, t: t, log: &book{}}
	logger := logrus.New()
	logger.SetOutput(r.log)
	ctx, cancel := context.WithCancel(log.WithLogger(context.Background(), logrus.NewEntry(logger)))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if st := s.Status(); st.Connected || st.Problem != "stopped" {
			t.Errorf("after its end it is %+v", st)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// connected waits until the session is.
func (r *running) connected() {
	r.t.Helper()
	nritest.Eventually(r.t, "the session is connected", func() bool { return r.Status().Connected })
	if p := r.Status().Problem; p != "" {
		r.t.Errorf("it is connected and has a problem: %s", p)
	}
}

// problem waits until the session has one with the words.
func (r *running) problem(words ...string) {
	r.t.Helper()
	nritest.Eventually(r.t, "there is a problem: "+strings.Join(words, ", "), func() bool {
		st := r.Status()
		return !st.Connected && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(st.Problem, w) })
	})
}
