// Package seen remembers the containers that exist, with their pods: an update
// names a container by its id alone, and policies want to know whose it is.
package seen

import (
	"slices"
	"sync"
	"time"

	"github.com/containerd/nri/pkg/api"
)

// Containers are those that exist, and those that are being created. Nobody says
// when a creation has failed, so that the latter are forgotten when they are old
// or too many. The zero value has none. It is safe for concurrent use, and never
// keeps anybody waiting.
type Containers struct {
	mu   sync.RWMutex
	byID map[string]member
	// created are the ids of those that are being created, oldest first.
	created []creation
}

type member struct {
	pod       *api.PodSandbox
	container *api.Container
}

type creation struct {
	id string
	at time.Time
}

// A creation that takes longer than this has failed, and so have the oldest where
// there are more at a time.
const (
	creationTime = 5 * time.Minute
	maxCreations = 1000
)

// Lookup finds a container and its pod, nil, nil where there is none. The messages
// must not be modified.
func (c *Containers) Lookup(id string) (*api.PodSandbox, *api.Container) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	m := c.byID[id]
	return m.pod, m.container
}

// Replace forgets everything and takes in what exists.
func (c *Containers) Replace(pods []*api.PodSandbox, containers []*api.Container) {
	podByID := make(map[string]*api.PodSandbox, len(pods))
	for _, p := range pods {
		podByID[p.GetId()] = p
	}
	all := make(map[string]member, len(containers))
	for _, m := range containers {
		if m != nil {
			all[m.GetId()] = member{pod: podByID[m.GetPodSandboxId()], container: m}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byID, c.created = all, nil
}

// Add takes in a container that exists, or what has become of it.
func (c *Containers) Add(pod *api.PodSandbox, container *api.Container) {
	if container == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(pod, container)
	c.settle(container.GetId())
}

// Refresh takes note of what has become of a container, if it is known.
func (c *Containers) Refresh(pod *api.PodSandbox, container *api.Container) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.byID[container.GetId()]; known && container != nil {
		c.put(pod, container)
	}
}

// Create takes in a container that may come to exist.
func (c *Containers) Create(pod *api.PodSandbox, container *api.Container) {
	if container == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.settle(container.GetId())
	for len(c.created) > 0 && (len(c.created) >= maxCreations || now.Sub(c.created[0].at) > creationTime) {
		delete(c.byID, c.created[0].id)
		c.created = c.created[1:]
	}
	c.created = append(c.created, creation{container.GetId(), now})
	c.put(pod, container)
}

func (c *Containers) put(pod *api.PodSandbox, container *api.Container) {
	if c.byID == nil {
		c.byID = map[string]member{}
	}
	c.byID[container.GetId()] = member{pod, container}
}

// settle ends a creation, in whatever way.
func (c *Containers) settle(id string) {
	c.created = slices.DeleteFunc(c.created, func(n creation) bool { return n.id == id })
}

// Remove forgets a container.
func (c *Containers) Remove(container *api.Container) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byID, container.GetId())
	c.settle(container.GetId())
}

// RemovePod forgets what is left of a pod.
func (c *Containers) RemovePod(pod *api.PodSandbox) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, m := range c.byID {
		if m.container.GetPodSandboxId() == pod.GetId() {
			delete(c.byID, id)
			c.settle(id)
		}
	}
}

// UpdatePod takes note of what has become of a pod.
func (c *Containers) UpdatePod(pod *api.PodSandbox) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, m := range c.byID {
		if m.container.GetPodSandboxId() == pod.GetId() {
			c.byID[id] = member{pod, m.container}
		}
	}
}
