package tests

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/proxy"
	"github.com/nri-guard/nri-guard/engine/policy"
)

// BenchmarkRelay compares calls of a plugin through the proxy with direct ones, in
// turn, on one machine at one time. The ratio of the medians is what counts.
func BenchmarkRelay(b *testing.B) {
	set, err := policy.Load(context.Background(), policy.Config{})
	if err != nil {
		b.Fatal(err)
	}
	baseline := func() *engine.Engine { return engine.New(set.Rules()) }
	nothing := func() *engine.Engine { return engine.New(engine.Rules{Policies: noPolicies{}}) }
	full := reference(b)
	small := proto.CloneOf(full)
	small.Adjust = &api.ContainerAdjustment{
		Env:   []*api.KeyValue{{Key: "GREETING", Value: "hello"}},
		Linux: &api.LinuxContainerAdjustment{Resources: &api.LinuxResources{Cpu: &api.LinuxCPU{Shares: api.UInt64(512)}}},
	}
	for _, bm := range []struct {
		name   string
		reply  *api.ValidateContainerAdjustmentRequest
		engine *engine.Engine
		call   func(*relayBench)
	}{
		{"not judged", full, baseline(), func(r *relayBench) { r.postCreate(b) }},
		{"two changes judged by no policy", small, nothing(), func(r *relayBench) { r.create(b) }},
		{"two changes judged by the profile baseline", small, baseline(), func(r *relayBench) { r.create(b) }},
		{"the reference judged by no policy", full, nothing(), func(r *relayBench) { r.create(b) }},
		{"the reference judged by the profile baseline", full, baseline(), func(r *relayBench) { r.create(b) }},
	} {
		b.Run(bm.name, func(b *testing.B) {
			direct, relayed := newRelayBench(b, bm.reply, nil), newRelayBench(b, bm.reply, bm.engine)
			var times [2][]time.Duration
			for b.Loop() {
				for i, r := range []*relayBench{direct, relayed} {
					start := time.Now()
					bm.call(r)
					times[i] = append(times[i], time.Since(start))
				}
			}
			d, r := median(times[0]), median(times[1])
			b.ReportMetric(float64(d.Nanoseconds())/1e3, "us-direct")
			b.ReportMetric(float64(r.Nanoseconds())/1e3, "us-relayed")
			b.ReportMetric(float64(r)/float64(d), "ratio")
		})
	}
}

// noPolicies let everything through: what is left is the cost of the proxy.
type noPolicies struct{}

func (noPolicies) Judge(context.Context, *engine.Review) engine.Verdict { return engine.Verdict{} }
func (noPolicies) Revision() string                                     { return "none" }

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// relayBench is a runtime with one plugin.
type relayBench struct {
	nri       *adaptation.Adaptation
	pod       *api.PodSandbox
	container *api.Container
}

// newRelayBench starts a runtime and connects a plugin, through a proxy if there is
// an engine.
func newRelayBench(b *testing.B, req *api.ValidateContainerAdjustmentRequest, e *engine.Engine) *relayBench {
	b.Helper()
	dir, err := os.MkdirTemp("", "nri")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "runtime.sock")
	sync := func(ctx context.Context, cb adaptation.SyncCB) error { _, err := cb(ctx, nil, nil); return err }
	update := func(context.Context, []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) { return nil, nil }
	n, err := adaptation.New("bench", "0", sync, update, adaptation.WithSocketPath(socket), adaptation.WithPluginPath(dir))
	if err != nil {
		b.Fatal(err)
	}
	if err := n.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(n.Stop)
	if e != nil {
		socket = runProxy(b, proxy.Config{Engine: e, Socket: proxy.Socket{Path: filepath.Join(dir, "nri.sock")}, Runtime: socket})
	}
	p := &benchPlugin{adjust: req.GetAdjust(), ready: make(chan struct{})}
	s, err := stub.New(p, stub.WithPluginName("bench"), stub.WithPluginIdx("10"), stub.WithSocketPath(socket))
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Stop)
	<-p.ready
	n.BlockPluginSync().Unblock()
	return &relayBench{nri: n, pod: req.GetPod(), container: req.GetContainer()}
}

// runProxy runs a proxy until the end of the benchmark.
func runProxy(b *testing.B, cfg proxy.Config) (socket string) {
	b.Helper()
	p, err := proxy.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	for !p.Status().Listening && len(done) == 0 {
		time.Sleep(time.Millisecond)
	}
	return cfg.Socket.Path
}

func (r *relayBench) create(b *testing.B) {
	rpl, err := r.nri.CreateContainer(context.Background(), &api.CreateContainerRequest{Pod: r.pod, Container: proto.CloneOf(r.container)})
	if err != nil || len(rpl.GetAdjust().GetEnv()) == 0 {
		b.Fatal(rpl, err)
	}
}

func (r *relayBench) postCreate(b *testing.B) {
	if err := r.nri.PostCreateContainer(context.Background(), &api.PostCreateContainerRequest{Pod: r.pod, Container: r.container}); err != nil {
		b.Fatal(err)
	}
}

// benchPlugin adjusts every container in the same way.
type benchPlugin struct {
	adjust *api.ContainerAdjustment
	ready  chan struct{}
}

func (p *benchPlugin) Synchronize(context.Context, []*api.PodSandbox, []*api.Container) ([]*api.ContainerUpdate, error) {
	close(p.ready)
	return nil, nil
}

func (p *benchPlugin) CreateContainer(context.Context, *api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	return p.adjust, nil, nil
}

func (p *benchPlugin) PostCreateContainer(context.Context, *api.PodSandbox, *api.Container) error {
	return nil
}
