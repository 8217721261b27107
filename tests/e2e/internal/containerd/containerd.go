// Package containerd runs a containerd of the tests' own.
package containerd

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/nri-guard/nri-guard/tests/e2e/internal/cri"
	"github.com/nri-guard/nri-guard/tests/e2e/internal/process"
)

// Containerd is one that runs.
type Containerd struct {
	*process.Process
	// CRI is connected to it.
	CRI *cri.Client
	// Address is its socket.
	Address string

	config Config
}

// Start starts containerd and returns when it serves and has the image. What an
// earlier one left in the same directory it takes over.
func Start(ctx context.Context, config Config) (*Containerd, error) {
	file, err := config.write()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(config.Tools+"/containerd", "--config", file)
	cmd.Env = append(os.Environ(), "PATH="+config.Tools+":/usr/sbin:/usr/bin:/sbin:/bin")
	p, err := process.Start(config.path("containerd.log"), cmd)
	if err != nil {
		return nil, err
	}
	c := &Containerd{Process: p, Address: config.path("containerd.sock"), config: config}
	if err := c.ready(ctx); err != nil {
		p.Kill()
		return nil, err
	}
	return c, nil
}

func (c *Containerd) ready(ctx context.Context) error {
	client, err := cri.Dial(c.Address)
	if err != nil {
		return err
	}
	c.CRI = client
	if err := c.WaitFor(ctx, "containerd serves CRI", client.Ready); err != nil {
		return err
	}
	return c.ctr(ctx, "images", "import", "--local", c.config.Image)
}

// ctr runs containerd's own client in the namespace of CRI.
func (c *Containerd) ctr(ctx context.Context, args ...string) error {
	all := append([]string{"--address", c.Address, "--namespace", "k8s.io"}, args...)
	out, err := exec.CommandContext(ctx, c.config.Tools+"/ctr", all...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ctr %v: %w: %s", args, err, out)
	}
	return nil
}

// Stop ends containerd; its containers go on.
func (c *Containerd) Stop() {
	_ = c.CRI.Close()
	c.Process.Stop()
}

// Restart ends containerd and starts it anew, with its containers.
func (c *Containerd) Restart(ctx context.Context) error {
	c.Stop()
	fresh, err := Start(ctx, c.config)
	if err != nil {
		return err
	}
	*c = *fresh
	return nil
}

// Bundle is the file with the OCI runtime specification of a container that was
// created; namespace is k8s.io for CRI and moby for Docker.
func (c *Containerd) Bundle(namespace, id string) string {
	return c.config.path("state/io.containerd.runtime.v2.task/" + namespace + "/" + id + "/config.json")
}
