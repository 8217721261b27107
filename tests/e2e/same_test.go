package e2e

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nri-guard/nri-guard/tests/e2e/internal/cri"
)

// What two plugins ask for, the second of them changing what the first did.
var (
	firstAsks = `{"adjust": {
		"annotations": {"first.e2e/note": "a"},
		"env": [{"key": "A", "value": "first"}, {"key": "B", "value": "first"}, {"key": "FROM_IMAGE", "value": "changed"}],
		"mounts": [
			{"destination": "/run/one", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "size=1m"]},
			{"destination": "/mnt", "type": "bind", "source": "` + sharedDir + `", "options": ["rbind", "ro"]}],
		"rlimits": [{"type": "RLIMIT_NOFILE", "hard": 4096, "soft": 1024}],
		"linux": {
			"resources": {"cpu": {"shares": {"value": "512"}}, "memory": {"limit": {"value": "134217728"}}, "pids": {"limit": "100"}},
			"oomScoreAdj": {"value": "500"}}}}`
	secondAsks = `{"adjust": {
		"annotations": {"second.e2e/note": "c"},
		"env": [{"key": "-B", "value": ""}, {"key": "C", "value": "second"}],
		"mounts": [{"destination": "-/run/one"}, {"destination": "/run/two", "type": "tmpfs", "source": "tmpfs", "options": ["ro"]}]}}`
	// Both set one variable, which NRI refuses.
	conflicting = [2]string{`{"adjust": {"env": [{"key": "A", "value": "1"}]}}`, `{"adjust": {"env": [{"key": "A", "value": "2"}]}}`}
)

// Where nothing is denied, containers come out through the proxy as they do without
// it, and so do the runtime's own refusals.
func TestSameAsDirect(t *testing.T) {
	prepareHost(t)
	specs, errs := map[mode][]string{}, map[mode]string{}
	for _, m := range []mode{direct, proxy, both} {
		t.Run(string(m), func(t *testing.T) {
			n := start(t, setup{mode: m, guard: "policy: {profile: {enforce: privileged}}"})
			n.obedient("10", "first")
			n.obedient("20", "second")
			pod := n.pod("default", asks(firstAsks, secondAsks))
			specs[m] = n.comparable(pod, n.create(pod, "app"))
			_, err := n.pod("default", asks(conflicting[0], conflicting[1])).Create(n.ctx, "app")
			if err == nil {
				t.Fatal("two plugins set one variable")
			}
			errs[m] = err.Error()
		})
	}
	for _, m := range []mode{proxy, both} {
		if d := cmp.Diff(specs[direct], specs[m]); d != "" {
			t.Errorf("%s: the specification (-direct +%s):\n%s", m, m, d)
		}
		if d := cmp.Diff(errs[direct], errs[m]); d != "" {
			t.Errorf("%s: NRI's refusal (-direct +%s):\n%s", m, m, d)
		}
	}
}

// asks are orders for two plugins.
func asks(first, second string) map[string]string {
	return map[string]string{"first.e2e/app": first, "second.e2e/app": second}
}

// podProcess is the pod's first one, by which containers join its namespaces.
var podProcess = regexp.MustCompile(`/proc/[0-9]+/`)

// comparable are the lines of a container.s specification without what is its own: ids, names,
// directories.
func (n *node) comparable(pod *cri.Pod, c *cri.Container) []string {
	n.Helper()
	data, err := json.MarshalIndent(n.spec(c), "", "  ")
	must(n.T, err)
	text := strings.NewReplacer(c.ID, "CONTAINER", pod.ID, "POD", pod.Name, "NAME", n.dir, "DIR").Replace(string(data))
	return strings.Split(podProcess.ReplaceAllString(text, "/proc/POD/"), "\n")
}
