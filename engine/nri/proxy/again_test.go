package proxy_test

import (
	"context"
	"testing"

	"github.com/containerd/nri/pkg/stub"
)

// A plugin that connects again whenever it loses its connection, as those of NRI's stub
// can, is there again after the proxy's restart.
func TestPluginsComeBack(t *testing.T) {
	r := newRig(t, nil)
	lost := make(chan struct{}, 1)
	s, err := stub.New(setting("GOOD", "1"), stub.WithPluginName("faithful"), stub.WithPluginIdx("10"), stub.WithSocketPath(r.socket),
		stub.WithLogger(quiet{}), stub.WithOnClose(func() { lost <- struct{}{} }))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if s.Start(ctx) != nil {
				continue
			}
			select {
			case <-lost:
			case <-ctx.Done():
			}
			s.Stop()
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	for range 3 {
		eventually(t, "the plugin is there", func() bool {
			rpl, err := r.runtime.create("c")
			return err == nil && rpl.GetAdjust().GetAnnotations()["by.GOOD"] == "1"
		})
		r.stop()
		r.run(t)
	}
}
