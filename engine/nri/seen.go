package nri

import (
	"sync"

	"github.com/containerd/nri/pkg/api"
)

// seen remembers the containers that exist, with their pods: an update names a
// container by its id alone, and policies want to know whose it is.
type seen struct {
	mu         sync.RWMutex
	containers map[string]member
}

type member struct {
	pod       *api.PodSandbox
	container *api.Container
}

// lookup is made for [Border.Lookup].
func (s *seen) lookup(id string) (*api.PodSandbox, *api.Container) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m := s.containers[id]
	return m.pod, m.container
}

// replace forgets everything and takes in what exists.
func (s *seen) replace(pods []*api.PodSandbox, containers []*api.Container) {
	byID := make(map[string]*api.PodSandbox, len(pods))
	for _, p := range pods {
		byID[p.GetId()] = p
	}
	all := make(map[string]member, len(containers))
	for _, c := range containers {
		if c != nil {
			all[c.GetId()] = member{pod: byID[c.GetPodSandboxId()], container: c}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.containers = all
}

func (s *seen) add(pod *api.PodSandbox, container *api.Container) {
	if container == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.containers == nil {
		s.containers = map[string]member{}
	}
	s.containers[container.GetId()] = member{pod, container}
}

func (s *seen) remove(container *api.Container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.containers, container.GetId())
}

// removePod forgets what is left of a pod.
func (s *seen) removePod(pod *api.PodSandbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, m := range s.containers {
		if m.container.GetPodSandboxId() == pod.GetId() {
			delete(s.containers, id)
		}
	}
}
