package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Without the guard a plugin does what a pod's author tells it to.
func TestUnguarded(t *testing.T) {
	n := start(t, setup{mode: direct})
	n.obedient("10", "obedient")
	pod := n.pod("default", orders("obedient", "app", `{"adjust": {
		"env": [{"key": "FROM_PLUGIN", "value": "yes"}],
		"mounts": [{"destination": "/mnt", "type": "bind", "source": "/etc", "options": ["rbind", "rw"]}]
	}}`))
	c := n.create(pod, "app")
	if env := n.exec(c, "env"); !strings.Contains(env, "FROM_PLUGIN=yes\n") || !strings.Contains(env, "FROM_IMAGE=yes\n") {
		t.Errorf("environment in the container:\n%s", env)
	}
	if got := n.exec(c, "cat", "/mnt/passwd"); !strings.Contains(got, "root:") || strings.Count(got, "\n") < 2 {
		t.Errorf("the host's /etc is not there: %s", got)
	}
	fromHost := func(m specs.Mount) bool { return m.Destination == "/mnt" && m.Source == "/etc" }
	if spec := n.spec(c); !slices.ContainsFunc(spec.Mounts, fromHost) {
		t.Errorf("mounts of the specification: %v", spec.Mounts)
	}
}
