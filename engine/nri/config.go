package nri

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
)

// Config says how a daemon wants NRI. With Enable unset nothing else is looked
// at; otherwise Name, Engine and Sync are needed and all else may be left zero.
type Config struct {
	// Enable turns NRI on.
	Enable bool
	// Name of the runtime, as reported to plugins and policies; it is part of the
	// default paths, so it must be fit for the name of a directory.
	Name string
	// Version of the runtime, as reported to plugins and policies. "" is reported
	// as "unknown".
	Version string

	// PluginPath is the directory of the plugins that are started with NRI. Each
	// executable in it must be named as in 10-device-injector. "" is
	// /usr/libexec/<name>/nri-plugins; under RootlessKit, which sets
	// ROOTLESSKIT_STATE_DIR, it is ~/.local/libexec/<name>/nri-plugins. A directory
	// that does not exist holds no plugins.
	PluginPath string
	// PluginConfigPath is the directory of those plugins' configuration: for each
	// 10-device-injector.conf or device-injector.conf. "" is /etc/<name>/nri/conf.d;
	// under RootlessKit the same below $XDG_CONFIG_HOME or ~/.config.
	//
	// Both defaults follow Docker's, whose daemon/internal/nri and pkg/homedir
	// choose these directories for itself.
	PluginConfigPath string
	// SocketPath is where other plugins connect. "" means that they cannot. The
	// socket comes into being under another name in the same directory, as
	// /proc/net/unix may show, and is moved here when everything is ready.
	SocketPath string

	// HostRoot is where the host's file system is found; see [Border.HostRoot].
	HostRoot string
	// Profile of the policies, for [Integration.Info]. It has no other effect.
	Profile string
	// Engine decides. Its rules may be swapped at any time.
	Engine *engine.Engine
	// Sync returns all pods and containers that exist. It is called when plugins
	// register, while no creation or removal is under way: see
	// [Integration.CreateContainer] for the locks that it may therefore take, and
	// for the one thing that it must not do, which is to call the Integration. Its
	// first call comes before [New] returns. The messages must not be modified
	// afterwards. ctx ends when this run of NRI does.
	Sync func(ctx context.Context) ([]*api.PodSandbox, []*api.Container, error)
	// Update carries out updates of containers that plugins asked for and policies
	// let through. It returns those that failed; when one failed that had to
	// succeed, it returns an error as well. It may be called from any goroutine,
	// before [New] returns too, and must not call the Integration. Nil means that
	// the daemon cannot update containers: then plugins' updates are refused.
	Update func(ctx context.Context, updates []*api.ContainerUpdate) (failed []*api.ContainerUpdate, err error)
}

// complete returns the configuration with defaults in place, or says what is
// wrong with it.
func (c Config) complete() (Config, error) {
	if !c.Enable {
		return c, nil
	}
	switch {
	case c.Name == "" || c.Name == "." || c.Name == ".." || strings.ContainsAny(c.Name, "/\x00"):
		return c, fmt.Errorf("the runtime's name %q must be fit for the name of a directory", c.Name)
	case c.Engine == nil:
		return c, errors.New("there is no engine to decide: set Config.Engine")
	case c.Sync == nil:
		return c, errors.New("plugins cannot be told what exists: set Config.Sync")
	}
	c.Version = cmp.Or(c.Version, "unknown")
	if err := c.defaultPaths(); err != nil {
		return c, err
	}
	if c.SocketPath != "" {
		c.SocketPath = filepath.Clean(c.SocketPath)
	}
	for _, p := range []struct{ name, path string }{
		{"plugin path", c.PluginPath},
		{"plugin configuration path", c.PluginConfigPath},
		{"socket path", c.SocketPath},
	} {
		if p.path != "" && !filepath.IsAbs(p.path) {
			return c, fmt.Errorf("the %s %q must be absolute", p.name, p.path)
		}
	}
	return c, nil
}

func (c *Config) defaultPaths() error {
	if c.PluginPath != "" && c.PluginConfigPath != "" {
		return nil
	}
	libexec, etc := "/usr/libexec", "/etc"
	if os.Getenv("ROOTLESSKIT_STATE_DIR") != "" {
		home, err := homeDirectory()
		if err != nil {
			return fmt.Errorf("finding the default directories of NRI plugins: %w", err)
		}
		libexec = filepath.Join(home, ".local", "libexec")
		etc = cmp.Or(os.Getenv("XDG_CONFIG_HOME"), filepath.Join(home, ".config"))
	}
	c.PluginPath = cmp.Or(c.PluginPath, filepath.Join(libexec, c.Name, "nri-plugins"))
	c.PluginConfigPath = cmp.Or(c.PluginConfigPath, filepath.Join(etc, c.Name, "nri", "conf.d"))
	return nil
}

func homeDirectory() (string, error) {
	if home := os.Getenv("HOME"); home != "" {
		return home, nil
	}
	u, err := user.Current()
	if err != nil {
		return "", err
	}
	return u.HomeDir, nil
}
