// Package seen remembers the containers that exist, with their pods: an update
// names a container by its id alone, and policies want to know whose it is.
package seen

import (
	"slices"
	"sync"
	"time"

	"github.com/containerd/nri/pkg/api"
)

// Containers are those that exist, and those that are being created. Not everybody
// says when a creation has failed, so that the latter are forgotten when they are old
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
	// created says whether it is among those that are being created.
	created bool
}

type creation struct {
	id string
	at time.Time
}

// A container of which nobody says for so long that it exists is taken for one that
// does not, and so are the oldest where there are more at a time. Some are created long
// before they are started.
const (
	creationTime = time.Hour
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
	c.forget(container.GetId())
	c.put(member{pod: pod, container: container})
}

// Refresh takes note of what has become of a container, if it is known.
func (c *Containers) Refresh(pod *api.PodSandbox, container *api.Container) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m, known := c.byID[container.GetId()]; known && container != nil {
		c.put(member{pod: pod, container: container, created: m.created})
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
	c.forget(container.GetId())
	for len(c.created) > 0 && (len(c.created) >= maxCreations || now.Sub(c.created[0].at) > creationTime) {
		delete(c.byID, c.created[0].id)
		c.created = c.created[1:]
	}
	c.created = append(c.created, creation{container.GetId(), now})
	c.put(member{pod: pod, container: container, created: true})
}

func (c *Containers) put(m member) {
	if c.byID == nil {
		c.byID = map[string]member{}
	}
	c.byID[m.container.GetId()] = m
}

// forget takes out a container, if it is known.
func (c *Containers) forget(id string) {
	if c.byID[id].created {
		c.created = slices.DeleteFunc(c.created, func(n creation) bool { return n.id == id })
	}
	delete(c.byID, id)
}

// Remove forgets a container.
func (c *Containers) Remove(container *api.Container) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(container.GetId())
}

// RemovePod forgets what is left of a pod.
func (c *Containers) RemovePod(pod *api.PodSandbox) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, m := range c.byID {
		if m.container.GetPodSandboxId() == pod.GetId() {
			c.forget(id)
		}
	}
}

// UpdatePod takes note of what has become of a pod.
func (c *Containers) UpdatePod(pod *api.PodSandbox) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, m := range c.byID {
		if m.container.GetPodSandboxId() == pod.GetId() {
			m.pod = pod
			c.byID[id] = m
		}
	}
}
