package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/nri-guard/nri-guard/tests/e2e/internal/cri"
)

// How many containers are created at a time, in so many pods.
const (
	many = 200
	pods = 5
)

// Many containers created in parallel, while another plugin floods the guard with
// updates: each is judged once by everybody who judges, and none is stuck.
func TestLoad(t *testing.T) {
	for _, m := range []mode{validator, proxy, both} {
		t.Run(string(m), func(t *testing.T) {
			prepareHost(t)
			n := start(t, setup{mode: m})
			n.obedient("10", "obedient")
			n.plugin("flood", "-socket", pluginSocket)
			start := time.Now()
			created, rejected := n.createMany()
			t.Logf("%d created, %d rejected in %.1f s", created, rejected, time.Since(start).Seconds())
			if created != many/2 || rejected != many/2 {
				t.Errorf("%d created, %d rejected; want half of %d each", created, rejected, many)
			}
			n.judgedOnce()
			must(t, n.guard.ready(n.ctx))
		})
	}
}

// createMany creates containers in parallel; for every other one of them the plugin
// asks for what it may not.
func (n *node) createMany() (created, rejected int) {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.ctx, 2*patience)
	defer cancel()
	var in []*cri.Pod
	for range pods {
		in = append(in, n.pod("default", nil))
	}
	errs := make([]error, many)
	var wait sync.WaitGroup
	for i := range many {
		wait.Go(func() {
			source := []string{sharedDir, "/etc"}[i%2]
			_, errs[i] = in[i%pods].Create(ctx, fmt.Sprintf("app%d", i), func(c *runtime.ContainerConfig) {
				c.Labels = map[string]string{"obedient.e2e": `{"adjust": {"mounts": [{"destination": "/mnt", "type": "bind", "source": "` + source + `", "options": ["bind", "ro"]}]}}`}
			})
		})
	}
	wait.Wait()
	for i, err := range errs {
		switch {
		case err == nil && i%2 == 0:
			created++
		case err != nil && i%2 == 1 && !errors.Is(ctx.Err(), context.DeadlineExceeded):
			rejected++
		default:
			n.Errorf("container %d: %v", i, err)
		}
	}
	return created, rejected
}

// judgedOnce checks that the log has one decision for each creation, of everybody who
// judges it; what the proxy denies, no validator is shown.
func (n *node) judgedOnce() {
	n.Helper()
	got := map[string][]bool{} // by container, what was decided
	updates := 0
	for _, d := range n.guard.decisions() {
		switch d.Operation {
		case "UpdateContainers":
			updates++
		case "CreateContainer":
			name := d.Input.Container.Name
			got[name] = append(got[name], d.Result.Allowed)
		}
	}
	n.Logf("%d containers and %d updates were judged", len(got), updates)
	if flooded := updates > 0; flooded != n.mode.relays() {
		n.Errorf("%d updates of the plugin that floods were judged", updates)
	}
	for i := range many {
		want := []bool{i%2 == 0}
		if n.mode == both && i%2 == 0 {
			want = append(want, true)
		}
		if name := fmt.Sprintf("app%d", i); !slices.Equal(got[name], want) {
			n.Errorf("decisions about %s: %v, want %v", name, got[name], want)
		}
	}
}
