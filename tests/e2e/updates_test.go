package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/nri-guard/nri-guard/tests/e2e/internal/cri"
	"github.com/nri-guard/nri-guard/tests/e2e/internal/process"
)

// littleMemory is a policy of somebody's own.
const littleMemory = `# METADATA
# title: Enough memory
# description: Plugins leave every container 64 MiB of memory.
package nri.policies.enough_memory

deny contains {"change": c.id, "msg": "less than 64 MiB of memory"} if {
	some c in input.changes.resource
	c.key == "memory.limit"
	c.value < 67108864
}
`

// Amounts of memory, in bytes: what a container has, and what plugins ask for.
const (
	had    = "268435456"
	enough = "134217728"
	tooFew = "33554432"
)

// memory writes how much memory a container may have, whatever the version of its
// control groups.
const memory = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"

// Updates of a container that runs, made on three occasions, by the memory that it has
// afterwards. NRI shows a validator those alone that come with a creation.
func TestUpdates(t *testing.T) {
	for _, m := range []mode{direct, validator, proxy, both} {
		t.Run(string(m), func(t *testing.T) {
			n := start(t, setup{mode: m, guard: "policy: {paths: [" + policyDir(t, "enough_memory", littleMemory) + "]}"})
			plugin := n.obedient("10", "obedient")
			t.Run("eviction", func(t *testing.T) { n.in(t).eviction() })
			for _, occasion := range []string{"update", "onStop", "unsolicited"} {
				for _, amount := range []string{enough, tooFew} {
					t.Run(occasion+" "+amount, func(t *testing.T) { n.in(t).update(plugin, occasion, amount) })
				}
			}
		})
	}
}

// policyDir is a directory with one policy.
func policyDir(t *testing.T, name, text string) string {
	t.Helper()
	dir := filepath.Join(work("policies"), plain(t.Name()))
	must(t, os.MkdirAll(filepath.Join(dir, name), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, name, name+".rego"), []byte(text), 0o600))
	return dir
}

// update has the plugin update a container on an occasion.
func (n *node) update(plugin *process.Process, occasion, amount string) {
	victim := n.create(n.pod("default", nil), "victim", func(c *runtime.ContainerConfig) {
		c.Linux.Resources = &runtime.LinuxContainerResources{MemoryLimitInBytes: 268435456}
	})
	n.hasMemory(victim, had)
	pod := n.pod("default", orders("obedient", "app", `{"`+occasion+`": [{"containerId": "`+victim.ID+
		`", "linux": {"resources": {"memory": {"limit": {"value": "`+amount+`"}}}}}]}`))
	denied := amount == tooFew && (n.mode.relays() || n.mode == validator && occasion == "update")
	c, err := pod.Create(n.ctx, "app")
	if occasion == "update" && denied {
		n.rejected(pod, err, []string{"enough_memory", "10-obedient", "memory.limit", "less than 64 MiB"})
		n.hasMemory(victim, had)
		return
	}
	must(n.T, err)
	must(n.T, c.Start(n.ctx))
	must(n.T, c.Stop(n.ctx))
	if occasion == "unsolicited" {
		n.answered(plugin, denied)
	}
	if denied {
		n.hasMemory(victim, had)
	} else {
		n.hasMemory(victim, amount)
	}
}

// eviction has the plugin ask for the end of another container, which NRI drops where
// nobody else does.
func (n *node) eviction() {
	victim := n.create(n.pod("default", nil), "victim")
	pod := n.pod("default", orders("obedient", "app", `{"evict": ["`+victim.ID+`"]}`))
	_, err := pod.Create(n.ctx, "app")
	if n.mode.relays() {
		n.rejected(pod, err, []string{"evictions", "10-obedient", victim.ID})
	} else {
		must(n.T, err)
	}
	n.exec(victim, "true")
}

// hasMemory checks that a container has an amount of memory.
func (n *node) hasMemory(c *cri.Container, want string) {
	n.Helper()
	if got := strings.TrimSpace(n.exec(c, "sh", "-c", memory)); got != want {
		n.Errorf("the container has %s bytes of memory, not %s", got, want)
	}
}

// answered waits for the answer to an unsolicited update.
func (n *node) answered(plugin *process.Process, denied bool) {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.ctx, patience)
	defer cancel()
	var answer string
	must(n.T, plugin.WaitFor(ctx, "an answer to an unsolicited update", func(context.Context) error {
		if lines := strings.Split(plugin.Tail(1), "\n"); strings.Contains(lines[len(lines)-1], "unsolicited for") {
			answer = lines[len(lines)-1]
			return nil
		}
		return errors.New("nothing in its log")
	}))
	n.Logf("the plugin is told: %s", answer)
	must(n.T, os.Truncate(plugin.Log, 0))
	if said := strings.Contains(answer, "enough_memory"); said != denied {
		n.Errorf("denied is %v, the policy is named: %v", denied, said)
	}
}
