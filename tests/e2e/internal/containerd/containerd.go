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

// Start starts containerd and returns when it serves and has the image.
func Start(ctx context.Context, config Config) (*Containerd, error) {
	address := config.path("containerd.sock")
	client, err := cri.Dial(address)
	if err != nil {
		return nil, err
	}
	c := &Containerd{CRI: client, Address: address, config: config}
	if err := c.start(ctx); err != nil {
		_ = client.Close()
		return nil, err
	}
	return c, nil
}

func (c *Containerd) start(ctx context.Context) error {
	file, err := c.config.write()
	if err != nil {
		return err
	}
	cmd := exec.Command(c.config.Tools+"/containerd", "--config", file)
	cmd.Env = append(os.Environ(), "PATH="+c.config.Tools+":/usr/sbin:/usr/bin:/sbin:/bin")
	if c.Process, err = process.Start(c.config.path("containerd.log"), cmd); err != nil {
		return err
	}
	if err := c.ready(ctx); err != nil {
		c.Kill()
		return err
	}
	return nil
}

func (c *Containerd) ready(ctx context.Context) error {
	if err := c.WaitFor(ctx, "containerd serves CRI", c.CRI.Ready); err != nil {
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

// Restart ends containerd and starts it anew, with its containers. The connection to
// CRI goes on.
func (c *Containerd) Restart(ctx context.Context) error {
	c.Process.Stop()
	return c.start(ctx)
}

// Bundle is the file with the OCI runtime specification of a container that was
// created; namespace is k8s.io for CRI and moby for Docker.
func (c *Containerd) Bundle(namespace, id string) string {
	return c.config.path("state/io.containerd.runtime.v2.task/" + namespace + "/" + id + "/config.json")
}
