package seen

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
)

func pod(id string) *api.PodSandbox { return &api.PodSandbox{Id: id} }

func container(id, pod string) *api.Container { return &api.Container{Id: id, PodSandboxId: pod} }

// known demands that these and no others are known.
func known(t *testing.T, c *Containers, ids ...string) {
	t.Helper()
	if len(c.byID) != len(ids) {
		t.Errorf("%d are known, want %v", len(c.byID), ids)
	}
	for _, id := range ids {
		if p, m := c.Lookup(id); m.GetId() != id || p.GetId() != m.GetPodSandboxId() {
			t.Errorf("%s is %v in %v", id, m, p)
		}
	}
}

// TestContainers goes through what happens to containers.
func TestContainers(t *testing.T) {
	var c Containers
	known(t, &c)
	if p, m := c.Lookup("a"); p != nil || m != nil {
		t.Errorf("nothing is known, but %v %v", p, m)
	}
	c.Remove(container("a", "p"))
	c.RemovePod(pod("p"))
	c.Refresh(pod("p"), container("a", "p"))
	c.Add(pod("p"), nil)
	c.Create(pod("p"), nil)
	known(t, &c)

	c.Create(pod("p"), container("a", "p"))
	c.Add(pod("p"), container("a", "p"))
	c.Create(pod("p"), container("b", "p"))
	c.Create(pod("q"), container("c", "q"))
	known(t, &c, "a", "b", "c")
	c.Refresh(pod("p"), &api.Container{Id: "a", PodSandboxId: "p", Name: "new"})
	if _, m := c.Lookup("a"); m.GetName() != "new" {
		t.Errorf("a is %v", m)
	}
	c.UpdatePod(&api.PodSandbox{Id: "p", Name: "new"})
	if p, _ := c.Lookup("b"); p.GetName() != "new" {
		t.Errorf("the pod is %v", p)
	}
	if p, _ := c.Lookup("c"); p.GetName() != "" {
		t.Errorf("another pod is %v", p)
	}
	c.RemovePod(pod("p"))
	known(t, &c, "c")
	c.Remove(container("c", "q"))
	known(t, &c)
	if len(c.created) != 0 {
		t.Errorf("creations are left over: %v", c.created)
	}
}

// TestReplace forgets what does not exist.
func TestReplace(t *testing.T) {
	var c Containers
	c.Create(pod("p"), container("a", "p"))
	c.Add(pod("p"), container("b", "p"))
	c.Replace([]*api.PodSandbox{pod("q"), nil}, []*api.Container{container("c", "q"), nil, container("d", "nowhere")})
	if p, m := c.Lookup("d"); p != nil || m == nil {
		t.Errorf("a container without a pod is %v in %v", m, p)
	}
	c.Remove(container("d", ""))
	known(t, &c, "c")
}

// TestFailedCreations are forgotten, which nobody says, and those that succeeded
// are not.
func TestFailedCreations(t *testing.T) {
	var c Containers
	c.Add(pod("p"), container("exists", "p"))
	c.Create(pod("p"), container("comes", "p"))
	c.Add(pod("p"), container("comes", "p"))
	for i := range 3 * maxCreations {
		c.Create(pod("p"), container(fmt.Sprint(i), "p"))
	}
	if n := len(c.byID); n != maxCreations+2 {
		t.Errorf("%d are known", n)
	}
	for _, id := range []string{"exists", "comes", fmt.Sprint(3*maxCreations - 1)} {
		if _, m := c.Lookup(id); m == nil {
			t.Errorf("%s is forgotten", id)
		}
	}
	for i := range c.created {
		c.created[i].at = time.Now().Add(-2 * creationTime)
	}
	c.Create(pod("p"), container("last", "p"))
	known(t, &c, "exists", "comes", "last")
}

// TestStopOfOneThatFailed: what becomes of a creation that failed does not make it
// one that exists.
func TestStopOfOneThatFailed(t *testing.T) {
	var c Containers
	c.Create(pod("p"), container("a", "p"))
	c.Refresh(pod("p"), container("a", "p"))
	if len(c.created) != 1 {
		t.Errorf("creations: %v", c.created)
	}
}

// TestConcurrent is for the race detector.
func TestConcurrent(t *testing.T) {
	var c Containers
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 200 {
				id, p := fmt.Sprint(n, "-", i), fmt.Sprint(n)
				c.Create(pod(p), container(id, p))
				c.Add(pod(p), container(id, p))
				if _, m := c.Lookup(id); m == nil {
					t.Errorf("%s is not known", id)
				}
				c.UpdatePod(pod(p))
				c.Remove(container(id, p))
			}
		})
	}
	wg.Wait()
	known(t, &c)
}
