package e2e

import (
	"strings"
	"testing"
)

func label(plugin, order string) map[string]string { return map[string]string{plugin + ".e2e": order} }

func TestDockerUnguarded(t *testing.T) {
	n := start(t, setup{mode: direct, docker: true})
	n.obedient("10", "obedient")
	out, err := n.docker.Run(n.ctx, label("obedient", `{"adjust": {
		"env": [{"key": "FROM_PLUGIN", "value": "yes"}],
		"mounts": [{"destination": "/mnt", "type": "bind", "source": "/etc", "options": ["ro"]}]}}`), "sh", "-c", "env; ls /mnt")
	must(t, err)
	if !strings.Contains(out, "FROM_PLUGIN=yes") || !strings.Contains(out, "debian_version") {
		t.Errorf("in the container:\n%s", out)
	}
}
