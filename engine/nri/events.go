package nri

import (
	"context"
	"fmt"

	"github.com/containerd/nri/pkg/api"
)

// RunPodSandbox tells the plugins that a pod is started.
func (n *Integration) RunPodSandbox(ctx context.Context, pod *api.PodSandbox) error {
	return n.tell(ctx, "RunPodSandbox", func(in *instance) error {
		return in.nri.RunPodSandbox(ctx, &api.RunPodSandboxRequest{Pod: pod})
	})
}

// UpdatePodSandbox tells the plugins that the resources of a pod are about to be
// updated: what the pod itself needs, and the sum of what its containers do.
func (n *Integration) UpdatePodSandbox(ctx context.Context, pod *api.PodSandbox, overhead, resources *api.LinuxResources) error {
	return n.tell(ctx, "UpdatePodSandbox", func(in *instance) error {
		_, err := in.nri.UpdatePodSandbox(ctx, &api.UpdatePodSandboxRequest{
			Pod: pod, OverheadLinuxResources: overhead, LinuxResources: resources,
		})
		return err
	})
}

// PostUpdatePodSandbox tells the plugins that a pod has been updated.
func (n *Integration) PostUpdatePodSandbox(ctx context.Context, pod *api.PodSandbox) error {
	return n.tell(ctx, "PostUpdatePodSandbox", func(in *instance) error {
		return in.nri.PostUpdatePodSandbox(ctx, &api.PostUpdatePodSandboxRequest{Pod: pod})
	})
}

// StopPodSandbox tells the plugins that a pod is stopped.
func (n *Integration) StopPodSandbox(ctx context.Context, pod *api.PodSandbox) error {
	return n.tell(ctx, "StopPodSandbox", func(in *instance) error {
		return in.nri.StopPodSandbox(ctx, &api.StopPodSandboxRequest{Pod: pod})
	})
}

// RemovePodSandbox tells the plugins that a pod has gone, with all its containers.
func (n *Integration) RemovePodSandbox(ctx context.Context, pod *api.PodSandbox) error {
	return n.tell(ctx, "RemovePodSandbox", func(in *instance) error {
		in.seen.RemovePod(pod)
		return in.nri.RemovePodSandbox(ctx, &api.RemovePodSandboxRequest{Pod: pod})
	})
}

// PostCreateContainer tells the plugins that a container has been created.
func (n *Integration) PostCreateContainer(ctx context.Context, pod *api.PodSandbox, container *api.Container) error {
	return n.tell(ctx, "PostCreateContainer", func(in *instance) error {
		in.seen.Add(pod, container)
		return in.nri.PostCreateContainer(ctx, &api.PostCreateContainerRequest{Pod: pod, Container: container})
	})
}

// StartContainer tells the plugins that a container is about to be started.
func (n *Integration) StartContainer(ctx context.Context, pod *api.PodSandbox, container *api.Container) error {
	return n.tell(ctx, "StartContainer", func(in *instance) error {
		in.seen.Add(pod, container)
		return in.nri.StartContainer(ctx, &api.StartContainerRequest{Pod: pod, Container: container})
	})
}

// PostStartContainer tells the plugins that a container has been started.
func (n *Integration) PostStartContainer(ctx context.Context, pod *api.PodSandbox, container *api.Container) error {
	return n.tell(ctx, "PostStartContainer", func(in *instance) error {
		in.seen.Add(pod, container)
		return in.nri.PostStartContainer(ctx, &api.PostStartContainerRequest{Pod: pod, Container: container})
	})
}

// PostUpdateContainer tells the plugins that a container has been updated.
func (n *Integration) PostUpdateContainer(ctx context.Context, pod *api.PodSandbox, container *api.Container) error {
	return n.tell(ctx, "PostUpdateContainer", func(in *instance) error {
		in.seen.Add(pod, container)
		return in.nri.PostUpdateContainer(ctx, &api.PostUpdateContainerRequest{Pod: pod, Container: container})
	})
}

// tell relays an event to whatever is running. An error is a plugin's own; the
// plugins after it have not been told then.
func (n *Integration) tell(ctx context.Context, event string, call func(*instance) error) error {
	in := n.active()
	if in == nil {
		return nil
	}
	return in.relay(ctx, event, func() error { return call(in) })
}

func (in *instance) relay(ctx context.Context, event string, call func() error) (err error) {
	defer recovered(ctx, &err)
	if err := call(); err != nil {
		return fmt.Errorf("telling NRI plugins of %s: %w", event, err)
	}
	return nil
}
