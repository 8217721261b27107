package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	"github.com/spf13/cobra"
)

// demoAnnotation is what a pod author writes to have a plugin act on a container;
// its value is the plugin's name.
const demoAnnotation = "nri-guard.demo/ask"

// demoPlugin is a plugin of the demonstration, and what should become of it.
type demoPlugin struct {
	name, index string
	// story says what the plugin is for.
	story string
	want  outcome
	// spec is how the OCI spec should come to differ.
	spec []string
	// adjust makes the adjustment that the plugin asks for.
	adjust func(*api.ContainerAdjustment)
}

// demoPlugins are the plugins in the order of their indices.
func demoPlugins() []demoPlugin {
	return []demoPlugin{{
		name: "tuner", index: "10", story: "tunes a service for latency",
		adjust: adjustTuner, want: allowed,
		spec: []string{
			`+ annotations["tuner.demo/profile"] "latency"`,
			`+ linux.resources.cpu.shares 2048`,
			`+ mounts {"destination":"/scratch","options":["nosuid","nodev","size=64m"],"source":"tmpfs","type":"tmpfs"}`,
			`+ process.env "GOMAXPROCS=2"`,
		},
	}, {
		name: "cache", index: "20", story: "shares a build cache between containers",
		adjust: adjustCache, want: stripped,
		spec: []string{
			`+ mounts {"destination":"/toolchain","options":["rbind","ro","nosuid","nodev"],"source":"/srv/toolchain","type":"bind"}`,
			`+ process.env "BUILD_CACHE=on"`,
		},
	}, {
		name: "helper", index: "30", story: "lets a CI job start containers of its own",
		adjust: adjustHelper, want: denied,
	}}
}

func adjustTuner(a *api.ContainerAdjustment) {
	a.AddEnv("GOMAXPROCS", "2")
	a.AddAnnotation("tuner.demo/profile", "latency")
	a.SetLinuxCPUShares(2048)
	a.AddMount(&api.Mount{Destination: "/scratch", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "size=64m"}})
}

func adjustCache(a *api.ContainerAdjustment) {
	a.AddEnv("BUILD_CACHE", "on")
	a.AddMount(&api.Mount{Destination: "/toolchain", Type: "bind", Source: "/srv/toolchain", Options: []string{"rbind", "ro", "nosuid", "nodev"}})
	a.AddMount(&api.Mount{Destination: "/cache", Type: "bind", Source: "/srv/cache", Options: []string{"rbind", "rw"}})
}

func adjustHelper(a *api.ContainerAdjustment) {
	a.AddMount(&api.Mount{Destination: "/var/run/docker.sock", Type: "bind", Source: "/var/run/docker.sock", Options: []string{"bind", "rw"}})
	a.AddEnv("LD_PRELOAD", "/helper/trace.so")
	a.AddHooks(&api.Hooks{CreateRuntime: []*api.Hook{{Path: "/srv/helper/hook", Args: []string{"hook", "--setup"}}}})
}

// CreateContainer is what NRI's stub calls.
func (p demoPlugin) CreateContainer(_ context.Context, _ *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	if c.GetAnnotations()[demoAnnotation] != p.name {
		return nil, nil, nil
	}
	a := &api.ContainerAdjustment{}
	p.adjust(a)
	return a, nil, nil
}

// newDemoPlugin is the process that the demonstration starts for each plugin. It
// ends with its connection to the daemon.
func newDemoPlugin() *cobra.Command {
	cmd := &cobra.Command{
		Use:    "demo-plugin NAME",
		Short:  "A plugin of the demonstration",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
	}
	socket := cmd.Flags().String("socket", "", "NRI's socket")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		for _, p := range demoPlugins() {
			if p.name == args[0] {
				return p.run(cmd.Context(), *socket)
			}
		}
		return fmt.Errorf("there is no plugin %q", args[0])
	}
	return cmd
}

func (p demoPlugin) run(ctx context.Context, socket string) error {
	s, err := stub.New(p, stub.WithPluginName(p.name), stub.WithPluginIdx(p.index),
		stub.WithSocketPath(socket), stub.WithLogger(quiet{}))
	if err != nil {
		return err
	}
	if err := s.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("plugin %s-%s: %w", p.index, p.name, err)
	}
	return nil
}

// quiet is a log that nobody reads.
type quiet struct{}

// Debugf writes nothing, like the other methods.
func (quiet) Debugf(context.Context, string, ...any) {}

// Infof writes nothing.
func (quiet) Infof(context.Context, string, ...any) {}

// Warnf writes nothing.
func (quiet) Warnf(context.Context, string, ...any) {}

// Errorf writes nothing.
func (quiet) Errorf(context.Context, string, ...any) {}
