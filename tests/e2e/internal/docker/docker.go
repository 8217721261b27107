// Package docker runs a dockerd of the tests' own, on a containerd that is there, and
// talks with it as Docker's command line does.
package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/nri-guard/nri-guard/tests/e2e/internal/image"
	"github.com/nri-guard/nri-guard/tests/e2e/internal/process"
)

// Config says how a dockerd is set up. Everything it keeps is in Dir.
type Config struct {
	Dir          string
	Tools        string // directory with dockerd and runc
	Image        string // tar to load
	Containerd   string // socket
	NRISocket    string // where plugins reach it
	CgroupParent string
}

// Docker is a dockerd that runs.
type Docker struct {
	*process.Process
	client *client.Client
	config Config
}

// Start starts dockerd and returns when it serves and has the image.
func Start(ctx context.Context, config Config) (*Docker, error) {
	if err := config.write(); err != nil {
		return nil, err
	}
	cmd := exec.Command(config.Tools+"/dockerd", "--config-file", config.file())
	cmd.Env = append(os.Environ(), "PATH="+config.Tools+":/usr/sbin:/usr/bin:/sbin:/bin")
	p, err := process.Start(filepath.Join(config.Dir, "dockerd.log"), cmd)
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.WithHost(config.host()))
	if err != nil {
		p.Kill()
		return nil, err
	}
	d := &Docker{Process: p, client: c, config: config}
	if err := d.ready(ctx); err != nil {
		p.Kill()
		return nil, err
	}
	return d, nil
}

func (c *Config) path(name string) string { return filepath.Join(c.Dir, name) }
func (c *Config) host() string            { return "unix://" + c.path("docker.sock") }
func (c *Config) file() string            { return c.path("daemon.json") }

// write writes dockerd's configuration.
func (c *Config) write() error {
	data, err := json.MarshalIndent(map[string]any{
		"data-root":     c.path("docker"),
		"exec-root":     c.path("docker-exec"),
		"pidfile":       c.path("docker.pid"),
		"hosts":         []string{c.host()},
		"containerd":    c.Containerd,
		"cgroup-parent": c.CgroupParent,
		"nri-opts": map[string]any{
			"enable":             true,
			"socket-path":        c.NRISocket,
			"plugin-path":        c.path("docker-plugins"),
			"plugin-config-path": c.path("docker-plugins-config"),
		},
		// Networks need more of the machine than these tests do.
		"iptables":       false,
		"ip6tables":      false,
		"bridge":         "none",
		"userland-proxy": false,
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(c.file(), data, 0o600)
}

func (d *Docker) ready(ctx context.Context) error {
	err := d.WaitFor(ctx, "dockerd serves", func(ctx context.Context) error {
		_, err := d.client.Ping(ctx, client.PingOptions{})
		return err
	})
	if err != nil {
		return err
	}
	f, err := os.Open(d.config.Image)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read from
	r, err := d.client.ImageLoad(ctx, f)
	if err != nil {
		return fmt.Errorf("loading the image: %w", err)
	}
	_, err = io.Copy(io.Discard, r)
	return errors.Join(err, r.Close())
}

// Stop ends dockerd and its containers.
func (d *Docker) Stop() {
	_ = d.client.Close()
	d.Process.Stop()
}

// Restart ends dockerd and starts it anew.
func (d *Docker) Restart(ctx context.Context) error {
	d.Stop()
	fresh, err := Start(ctx, d.config)
	if err != nil {
		return err
	}
	*d = *fresh
	return nil
}

// Run runs a command in a new container with these labels and returns what it
// writes. The container is removed.
func (d *Docker) Run(ctx context.Context, labels map[string]string, command ...string) (output string, err error) {
	c, err := d.client.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config:     &container.Config{Image: image.Name, Cmd: command, Labels: labels, Tty: true},
		HostConfig: &container.HostConfig{NetworkMode: "host"},
	})
	if err != nil {
		return "", err
	}
	defer func() {
		_, e := d.client.ContainerRemove(context.WithoutCancel(ctx), c.ID, client.ContainerRemoveOptions{Force: true})
		err = errors.Join(err, e)
	}()
	wait := d.client.ContainerWait(ctx, c.ID, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if _, err := d.client.ContainerStart(ctx, c.ID, client.ContainerStartOptions{}); err != nil {
		return "", err
	}
	select {
	case <-wait.Result:
	case err := <-wait.Error:
		return "", err
	}
	log, err := d.client.ContainerLogs(ctx, c.ID, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return "", err
	}
	out, err := io.ReadAll(log)
	return string(out), errors.Join(err, log.Close())
}

// Containers says how many containers there are, running or not.
func (d *Docker) Containers(ctx context.Context) (int, error) {
	r, err := d.client.ContainerList(ctx, client.ContainerListOptions{All: true})
	return len(r.Items), err
}
