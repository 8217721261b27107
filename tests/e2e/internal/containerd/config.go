package containerd

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nri-guard/nri-guard/tests/e2e/internal/image"
)

// Config says how a containerd is set up. Everything it keeps is in Dir.
type Config struct {
	// Dir is the directory that it works in.
	Dir string
	// Tools is the directory with containerd, its shim, ctr and runc.
	Tools string
	// Image is the tar to import.
	Image string
	// NRISocket is where plugins reach it; "" takes NRI away.
	NRISocket string
	// RequiredPlugins are those without which its default validator rejects
	// containers; none switches that validator off.
	RequiredPlugins []string
	// File is where the configuration file is written to; config.toml in Dir without it.
	File string
	// Imports is a pattern of configuration files that say what is said of NRI.
	Imports string
	// Metrics is an address for containerd's metrics; none without it.
	Metrics string
	// CDIPath has specifications of CDI devices.
	CDIPath string
}

func (c *Config) path(name string) string { return filepath.Join(c.Dir, name) }

// write writes configuration file and directories, and returns the file's path.
func (c *Config) write() (string, error) {
	for _, d := range []string{"root", "state", "no-plugins", "no-config", "cni"} {
		if err := os.MkdirAll(c.path(d), 0o700); err != nil {
			return "", err
		}
	}
	file := cmp.Or(c.File, c.path("config.toml"))
	return file, os.WriteFile(file, []byte(c.toml()), 0o600)
}

func (c *Config) toml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "version = 3\nroot = %q\nstate = %q\n", c.path("root"), c.path("state"))
	// What needs more of the machine than these tests do.
	b.WriteString("disabled_plugins = ['io.containerd.snapshotter.v1.btrfs', 'io.containerd.snapshotter.v1.zfs', " +
		"'io.containerd.snapshotter.v1.devmapper', 'io.containerd.snapshotter.v1.blockfile', 'io.containerd.snapshotter.v1.erofs']\n")
	if c.Imports != "" {
		fmt.Fprintf(&b, "imports = [%q]\n", c.Imports)
	}
	fmt.Fprintf(&b, "[grpc]\n  address = %q\n", c.path("containerd.sock"))
	fmt.Fprintf(&b, "[ttrpc]\n  address = %q\n", c.path("ttrpc.sock"))
	if c.Metrics != "" {
		fmt.Fprintf(&b, "[metrics]\n  address = %q\n", c.Metrics)
	}
	if c.Imports == "" {
		b.WriteString(c.nri())
	}
	b.WriteString("[plugins.'io.containerd.cri.v1.runtime']\n  disable_apparmor = true\n  restrict_oom_score_adj = true\n")
	if c.CDIPath != "" {
		fmt.Fprintf(&b, "  enable_cdi = true\n  cdi_spec_dirs = [%q]\n", c.CDIPath)
	}
	fmt.Fprintf(&b, "  [plugins.'io.containerd.cri.v1.runtime'.cni]\n    conf_dir = %q\n    bin_dirs = [%q]\n", c.path("cni"), c.path("cni"))
	fmt.Fprintf(&b, "[plugins.'io.containerd.cri.v1.images'.pinned_images]\n  sandbox = '%s'\n", image.Name)
	return b.String()
}

// nri is the part about NRI.
func (c *Config) nri() string {
	text := fmt.Sprintf("[plugins.'io.containerd.nri.v1.nri']\n  disable = %v\n  socket_path = %q\n  plugin_path = %q\n  plugin_config_path = %q\n",
		c.NRISocket == "", c.NRISocket, c.path("no-plugins"), c.path("no-config"))
	if len(c.RequiredPlugins) > 0 {
		text += fmt.Sprintf("  [plugins.'io.containerd.nri.v1.nri'.default_validator]\n    enable = true\n    required_plugins = ['%s']\n",
			strings.Join(c.RequiredPlugins, "', '"))
	}
	return text
}
