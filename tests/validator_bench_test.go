package tests

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/adaptation/builtin"
	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"
)

// BenchmarkValidator compares creating a container with the guard as validator, in a
// process of its own and with its decision log, with a validator that does nothing.
// The two take turns on one machine, with a pause before each creation, as on a node:
// what is called after a pause takes longer than what runs all the time. The
// difference of the medians is what counts.
func BenchmarkValidator(b *testing.B) {
	idle := newValidated(b)
	idle.plug(idle.runtime, "99", "nothing", "null")
	idle.waitFor(idle.builtins + 1)
	for _, bm := range []struct{ name, config string }{
		{"judged by the profile baseline", "audit: {path: DIR/log/decisions}\n"},
		{"judged by the profile privileged", "audit: {path: DIR/log/decisions}\npolicy: {profile: {enforce: privileged}}\n"},
		{"not recorded", "policy: {profile: {enforce: privileged}}\n"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			guarded := newValidated(b)
			guarded.write("config.yaml", "version: 1\nruntime: {socket: DIR/runtime/nri.sock}\nadmin: {address: '127.0.0.1:0'}\n"+asValidator+bm.config)
			guarded.run(b)
			guarded.waitFor(guarded.builtins + 2)
			var times [2][]time.Duration
			for b.Loop() {
				for i, v := range []*validated{idle, guarded} {
					times[i] = append(times[i], v.create(b))
				}
			}
			d, r := median(times[0]), median(times[1])
			b.ReportMetric(0, "ns/op") // most of it is the pauses
			b.ReportMetric(float64(d.Nanoseconds())/1e3, "us-nothing")
			b.ReportMetric(float64(r.Nanoseconds())/1e3, "us-guard")
			b.ReportMetric(float64(r-d)/1e3, "us-more")
		})
	}
}

// validated is a node whose runtime has three plugins that ask for what the reference
// asks for.
type validated struct {
	*node
	*runtimed
	req      *api.ValidateContainerAdjustmentRequest
	builtins int
	created  int
}

func newValidated(b *testing.B) *validated {
	b.Helper()
	v := &validated{node: newNode(b), runtimed: &runtimed{}, req: reference(b)}
	options := []adaptation.Option{adaptation.WithSocketPath(v.node.runtime), adaptation.WithMetrics(v.runtimed), adaptation.WithPluginPath(filepath.Join(v.dir, "none"))}
	for i, p := range v.req.GetPlugins() {
		reply := &api.CreateContainerResponse{}
		if i == 0 {
			reply.Adjust = v.req.GetAdjust()
		}
		options = append(options, adaptation.WithBuiltinPlugins(&builtin.BuiltinPlugin{Base: p.GetName(), Index: p.GetIndex(), Handlers: builtin.BuiltinHandlers{
			CreateContainer: func(context.Context, *api.CreateContainerRequest) (*api.CreateContainerResponse, error) {
				return reply, nil
			},
		}}))
		v.builtins++
	}
	var err error
	v.Adaptation, err = adaptation.New("testd", "1.2.3",
		func(ctx context.Context, tell adaptation.SyncCB) error { _, err := tell(ctx, nil, nil); return err },
		func(context.Context, []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) { return nil, nil }, options...)
	if err == nil {
		err = v.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(v.Stop)
	return v
}

// run starts the guard as it runs on a node, which logs little.
func (v *validated) run(b *testing.B) {
	b.Helper()
	file, err := program()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(file, "run", "--config", v.config)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// waitFor waits until so many plugins are connected.
func (v *validated) waitFor(plugins int) {
	for v.runtimed.plugins() != plugins {
		time.Sleep(time.Millisecond)
	}
}

// create creates a container, after a pause, and tells how long that took.
func (v *validated) create(b *testing.B) time.Duration {
	v.created++
	c := proto.CloneOf(v.req.GetContainer())
	c.Id = fmt.Sprint("c", v.created)
	time.Sleep(3 * time.Millisecond)
	begin := time.Now()
	_, err := v.CreateContainer(context.Background(), &api.CreateContainerRequest{Pod: v.req.GetPod(), Container: c})
	if err == nil {
		err = v.PostCreateContainer(context.Background(), &api.PostCreateContainerRequest{Pod: v.req.GetPod(), Container: c})
	}
	took := time.Since(begin)
	if err != nil {
		b.Fatal(err)
	}
	return took
}
