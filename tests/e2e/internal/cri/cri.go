// Package cri drives a container runtime the way that the kubelet does.
package cri

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/nri-guard/nri-guard/tests/e2e/internal/image"
)

// CgroupParent is the control group of everything that is started here.
const CgroupParent = "/nri-guard-e2e"

// Client talks CRI with a runtime.
type Client struct {
	conn    *grpc.ClientConn
	runtime runtime.RuntimeServiceClient
}

// Dial returns a client of the runtime at a socket, which need not exist yet.
func Dial(socket string) (*Client, error) {
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	return &Client{conn: conn, runtime: runtime.NewRuntimeServiceClient(conn)}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Ready says what keeps the runtime from serving, nil when nothing does.
func (c *Client) Ready(ctx context.Context) error {
	c.conn.Connect()
	c.conn.ResetConnectBackoff()
	_, err := c.runtime.Status(ctx, &runtime.StatusRequest{})
	return err
}

// Pod is a pod sandbox that runs.
type Pod struct {
	ID     string
	Name   string
	client *Client
	config *runtime.PodSandboxConfig
}

// RunPod starts a pod of the host's network, which needs no CNI.
func (c *Client) RunPod(ctx context.Context, namespace, name string, annotations map[string]string) (*Pod, error) {
	config := &runtime.PodSandboxConfig{
		Metadata:    &runtime.PodSandboxMetadata{Name: name, Namespace: namespace, Uid: namespace + "-" + name},
		Annotations: annotations,
		Linux: &runtime.LinuxPodSandboxConfig{
			CgroupParent: CgroupParent,
			SecurityContext: &runtime.LinuxSandboxSecurityContext{
				NamespaceOptions: &runtime.NamespaceOption{Network: runtime.NamespaceMode_NODE},
			},
		},
	}
	r, err := c.runtime.RunPodSandbox(ctx, &runtime.RunPodSandboxRequest{Config: config})
	if err != nil {
		return nil, err
	}
	return &Pod{ID: r.PodSandboxId, Name: name, client: c, config: config}, nil
}

// Remove stops the pod and its containers and removes them.
func (p *Pod) Remove(ctx context.Context) error {
	_, err := p.client.runtime.StopPodSandbox(ctx, &runtime.StopPodSandboxRequest{PodSandboxId: p.ID})
	_, err2 := p.client.runtime.RemovePodSandbox(ctx, &runtime.RemovePodSandboxRequest{PodSandboxId: p.ID})
	return errors.Join(err, err2)
}

// Container is one that was created.
type Container struct {
	ID     string
	client *Client
}

// Create creates a container in the pod; mutate may change what is asked for.
func (p *Pod) Create(ctx context.Context, name string, mutate ...func(*runtime.ContainerConfig)) (*Container, error) {
	config := &runtime.ContainerConfig{
		Metadata: &runtime.ContainerMetadata{Name: name},
		Image:    &runtime.ImageSpec{Image: image.Name},
		Linux: &runtime.LinuxContainerConfig{SecurityContext: &runtime.LinuxContainerSecurityContext{
			NamespaceOptions: p.config.Linux.SecurityContext.NamespaceOptions,
		}},
	}
	for _, m := range mutate {
		m(config)
	}
	r, err := p.client.runtime.CreateContainer(ctx, &runtime.CreateContainerRequest{
		PodSandboxId: p.ID, Config: config, SandboxConfig: p.config,
	})
	if err != nil {
		return nil, err
	}
	return &Container{ID: r.ContainerId, client: p.client}, nil
}

// Start starts the container.
func (c *Container) Start(ctx context.Context) error {
	_, err := c.client.runtime.StartContainer(ctx, &runtime.StartContainerRequest{ContainerId: c.ID})
	return err
}

// Stop kills the container.
func (c *Container) Stop(ctx context.Context) error {
	_, err := c.client.runtime.StopContainer(ctx, &runtime.StopContainerRequest{ContainerId: c.ID})
	return err
}

// Remove removes the container, running or not.
func (c *Container) Remove(ctx context.Context) error {
	_, err := c.client.runtime.RemoveContainer(ctx, &runtime.RemoveContainerRequest{ContainerId: c.ID})
	return err
}

// Exec runs a command in the container and returns what it writes.
func (c *Container) Exec(ctx context.Context, command ...string) (string, error) {
	r, err := c.client.runtime.ExecSync(ctx, &runtime.ExecSyncRequest{ContainerId: c.ID, Cmd: command, Timeout: 20})
	if err != nil {
		return "", err
	}
	if r.ExitCode != 0 {
		return "", fmt.Errorf("%v: exit status %d: %s", command, r.ExitCode, r.Stderr)
	}
	return string(r.Stdout), nil
}

// Update changes the container's resources.
func (c *Container) Update(ctx context.Context, resources *runtime.LinuxContainerResources) error {
	_, err := c.client.runtime.UpdateContainerResources(ctx, &runtime.UpdateContainerResourcesRequest{ContainerId: c.ID, Linux: resources})
	return err
}

// Containers are the names of all containers of the pod, in no order.
func (p *Pod) Containers(ctx context.Context) ([]string, error) {
	r, err := p.client.runtime.ListContainers(ctx, &runtime.ListContainersRequest{
		Filter: &runtime.ContainerFilter{PodSandboxId: p.ID},
	})
	var names []string
	for _, c := range r.GetContainers() {
		names = append(names, c.Metadata.Name)
	}
	return names, err
}
