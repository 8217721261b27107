package e2e

import (
	"os"
	"os/exec"
	"testing"

	"github.com/nri-guard/nri-guard/tests/e2e/internal/containerd"
)

// What deploy/ has, where docs/deploying.md puts it: it guards, plugins that used to be
// started by the runtime go on working, and the doctor finds nothing that fails open.
func TestDeployed(t *testing.T) {
	for _, m := range []mode{validator, proxy, both} {
		t.Run(string(m), func(t *testing.T) {
			prepareHost(t)
			deploy(t, m)
			n := start(t, setup{mode: m, unguarded: true, runtime: func(c *containerd.Config) {
				c.File, c.Imports = "/etc/containerd/config.toml", "/etc/containerd/conf.d/*.toml"
			}})
			n.guard.file, n.guard.admin = "/etc/nri-guard/config.yaml", "127.0.0.1:9321"
			n.guard.start()
			b := &bench{node: n, pod: n.pod("default", nil)}
			b.connected()
			if got := b.forbidden(); got != none {
				t.Errorf("what is forbidden: %s", got)
			}
			n.examined()
		})
	}
}

// deploy installs the configurations of a mode, and a plugin that needs no flags.
func deploy(t *testing.T, m mode) {
	t.Helper()
	t.Cleanup(func() {
		for _, dir := range []string{"/etc/containerd", "/etc/nri-guard", "/etc/nri", "/opt/nri", "/var/log/nri-guard", "/var/lib/nri-guard"} {
			must(t, os.RemoveAll(dir))
		}
	})
	for from, to := range map[string]string{
		"../../deploy/containerd/" + string(m) + ".toml": "/etc/containerd/conf.d/50-nri-guard.toml",
		"../../deploy/nri-guard/" + string(m) + ".yaml":  "/etc/nri-guard/config.yaml",
		work(binDir, "obedient"):                         "/opt/nri/plugins/10-obedient",
	} {
		copyFile(t, from, to)
	}
	must(t, os.MkdirAll("/etc/nri/conf.d", 0o755))
	must(t, os.MkdirAll("/var/lib/nri-guard/no-plugins", 0o755))
}

// examined checks what the doctor says of the node.
func (n *node) examined() {
	n.Helper()
	out, err := exec.Command(work(binDir, "nri-guard"), "doctor").CombinedOutput()
	n.Logf("the doctor, %v:\n%s", err, out)
	if err != nil {
		n.Error("the doctor is not content")
	}
}
