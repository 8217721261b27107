package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nri-guard/nri-guard/tests/e2e/internal/containerd"
	"github.com/nri-guard/nri-guard/tests/e2e/internal/cri"
)

// outcome is what comes of a plugin's adjustment.
type outcome string

const (
	accepted outcome = "accepted" // the container runs with it
	rejected outcome = "rejected" // there is no container
	stripped outcome = "stripped" // the container runs without it
)

// a container of a pod whose annotations plugins obey. What it is to show of an
// adjustment is looked up inside of it.
type adjustment struct {
	name        string
	annotations map[string]string
	want        outcome // with the guard; a validator rejects what a proxy strips
	// look is a command of sh, run inside, and see is what it writes when the
	// adjustment is there.
	look, see string
	// other is another command, for what is there whatever becomes of the rest.
	other, otherSee string
	// refused says that runc refuses it, here or everywhere, when nobody else does.
	refused bool
	// reasons are parts of the error that a rejection has to show.
	reasons []string
}

// Places of the host that the adjustments are about.
const (
	sharedDir = "/srv/nri-guard-e2e" // harmless
	hookFile  = "/run/hook-ran"      // written by a hook
	cdiDir    = "/run/cdi"           // specifications of CDI devices
	hookPath  = "/run/hook.sh"
)

// guardConfig is the guard's configuration for all of the adjustments.
const guardConfig = `
policy:
  enforcement: {writable_mounts: strip}
plugins:
  - name: injector
    grants:
      - {field: device, keys: [/dev/injected], hostPaths: [/dev/null]}
      - {field: hook, keys: [createRuntime], path: ` + hookPath + `, args: [hook, up]}
  - name: nvidia
    grants:
      - {field: cdiDevice, keys: [vendor.e2e/thing=one]}
`

func adjustments() []adjustment {
	obedient := func(adjust string) map[string]string {
		return orders("obedient", "app", `{"adjust": `+adjust+`}`)
	}
	injector := func(adjust string) map[string]string {
		return orders("injector", "app", `{"adjust": `+adjust+`}`)
	}
	ulimits := func(list string) map[string]string {
		return map[string]string{"ulimits.nri.containerd.io/container.app": list}
	}
	cdi := func(names string) map[string]string {
		return map[string]string{"nvidia.cdi.k8s.io/container.app": names}
	}
	return []adjustment{{
		name:        "variable and read-only mount",
		annotations: obedient(`{"env": [{"key": "FROM_PLUGIN", "value": "yes"}], "mounts": [{"destination": "/mnt", "type": "bind", "source": "` + sharedDir + `", "options": ["bind", "ro"]}]}`),
		want:        accepted,
		look:        "echo $FROM_PLUGIN $FROM_IMAGE $(cat /mnt/shared)", see: "yes yes of the host\n",
	}, {
		name:        "mount of the host's /etc",
		annotations: obedient(`{"mounts": [{"destination": "/mnt", "type": "bind", "source": "/etc", "options": ["bind", "ro"]}]}`),
		want:        rejected, look: "ls /mnt/passwd", see: "/mnt/passwd\n",
		reasons: []string{"host_paths", "10-obedient", "/etc"},
	}, {
		name:        "variable that loads code",
		annotations: obedient(`{"env": [{"key": "LD_PRELOAD", "value": "/mnt/x.so"}]}`),
		want:        rejected, look: "echo $LD_PRELOAD", see: "/mnt/x.so\n",
		reasons: []string{"environment", "10-obedient", "LD_PRELOAD"},
	}, {
		name:        "writable mount beside a variable",
		annotations: obedient(`{"env": [{"key": "FROM_PLUGIN", "value": "yes"}], "mounts": [{"destination": "/mnt", "type": "bind", "source": "` + sharedDir + `", "options": ["bind", "rw"]}]}`),
		want:        stripped,
		look:        "cat /mnt/shared || true", see: "of the host\n", other: "echo $FROM_PLUGIN", otherSee: "yes\n",
		reasons: []string{"writable_mounts", "10-obedient", "/mnt"},
	}, {
		name:        "device that nothing grants",
		annotations: obedient(`{"linux": {"devices": [{"path": "/dev/injected", "type": "c", "major": 1, "minor": 3}]}}`),
		want:        rejected, look: "ls /dev/injected", see: "/dev/injected\n",
		reasons: []string{"devices", "10-obedient", "/dev/injected"},
	}, {
		name:        "device that is granted",
		annotations: injector(`{"linux": {"devices": [{"path": "/dev/injected", "type": "c", "major": 1, "minor": 3}]}}`),
		want:        accepted, look: "stat -c %t:%T /dev/injected && echo x >/dev/injected", see: "1:3\n",
	}, {
		name:        "another device than the granted one under its name",
		annotations: injector(`{"linux": {"devices": [{"path": "/dev/injected", "type": "c", "major": 1, "minor": 1}]}}`),
		want:        rejected, look: "stat -c %t:%T /dev/injected", see: "1:1\n",
		reasons: []string{"devices", "20-injector", "/dev/injected"},
	}, {
		name:        "hook that nothing grants",
		annotations: obedient(`{"hooks": {"createRuntime": [{"path": "` + hookPath + `", "args": ["hook", "up"]}]}}`),
		want:        rejected, look: "true", see: "",
		reasons: []string{"hooks", "10-obedient", hookPath},
	}, {
		name:        "hook that is granted",
		annotations: injector(`{"hooks": {"createRuntime": [{"path": "` + hookPath + `", "args": ["hook", "up"]}]}}`),
		want:        accepted, look: "true", see: "",
	}, {
		name:        "NRI's ulimit-adjuster",
		annotations: ulimits("- {type: RLIMIT_NOFILE, hard: 4321, soft: 1234}"),
		want:        accepted, look: "ulimit -n; ulimit -Hn", see: "1234\n4321\n",
	}, {
		name:        "NRI's ulimit-adjuster, real-time priority",
		annotations: ulimits("- {type: RLIMIT_RTPRIO, hard: 7, soft: 7}"),
		want:        rejected, look: "ulimit -r", see: "7\n", refused: true, // without CAP_SYS_RESOURCE
		reasons: []string{"scheduling", "30-ulimit-adjuster", "RLIMIT_RTPRIO"},
	}, {
		name:        "safe kernel parameter of the pod's own namespace",
		annotations: obedient(`{"linux": {"sysctl": {"kernel.shm_rmid_forced": "1"}}}`),
		want:        accepted, look: "cat /proc/sys/kernel/shm_rmid_forced", see: "1\n",
	}, {
		name:        "safe kernel parameter, but of the host's network",
		annotations: obedient(`{"linux": {"sysctl": {"net.ipv4.ip_unprivileged_port_start": "0"}}}`),
		want:        rejected, refused: true,
		reasons: []string{"sysctls", "10-obedient", "network namespace"},
	}, {
		name:        "NVIDIA's plugin, granted CDI device",
		annotations: cdi("vendor.e2e/thing=one"),
		want:        accepted, look: "echo $CDI_DEVICE", see: "one\n",
	}, {
		name:        "NVIDIA's plugin, another CDI device",
		annotations: cdi("vendor.e2e/thing=two"),
		want:        rejected, look: "echo $CDI_DEVICE", see: "two\n",
		reasons: []string{"cdi_devices", "10-nvidia", "vendor.e2e/thing=two"},
	}}
}

// prepareHost makes what the adjustments are about.
func prepareHost(t *testing.T) {
	t.Helper()
	must(t, os.MkdirAll(sharedDir, 0o755))
	t.Cleanup(func() { must(t, os.RemoveAll(sharedDir)) })
	must(t, os.WriteFile(filepath.Join(sharedDir, "shared"), []byte("of the host\n"), 0o644))
	must(t, os.WriteFile(hookPath, []byte("#!/bin/sh\ncat >/dev/null\necho \"$1\" >"+hookFile+"\n"), 0o755))
	must(t, os.MkdirAll(cdiDir, 0o755))
	must(t, os.WriteFile(filepath.Join(cdiDir, "e2e.json"), []byte(`{"cdiVersion": "0.6.0", "kind": "vendor.e2e/thing", "devices": [
		{"name": "one", "containerEdits": {"env": ["CDI_DEVICE=one"]}},
		{"name": "two", "containerEdits": {"env": ["CDI_DEVICE=two"]}}]}`), 0o644))
}

// startPlugins starts all plugins that adjustments are asked of.
func (n *node) startPlugins() {
	n.Helper()
	n.obedient("10", "obedient")
	n.obedient("20", "injector")
	n.plugin("nvidia", "-socket", pluginSocket)
	// It can look for NRI at the well-known place only.
	n.connected("ulimit-adjuster", n.spawn("ulimit-adjuster", "-name", "ulimit-adjuster", "-idx", "30", "-verbose"))
}

func withCDI(c *containerd.Config) { c.CDIPath = cdiDir }

// Every adjustment, in every mode, looked up in containers that run.
func TestContainerd(t *testing.T) {
	for _, m := range []mode{direct, validator, proxy, both} {
		t.Run(string(m), func(t *testing.T) {
			prepareHost(t)
			n := start(t, setup{mode: m, guard: guardConfig, runtime: withCDI})
			n.startPlugins()
			for _, a := range adjustments() {
				t.Run(a.name, func(t *testing.T) { n.in(t).adjust(&a) })
			}
		})
	}
}

// in is the node for a test within the test.
func (n *node) in(t *testing.T) *node {
	c := *n
	c.T = t
	return &c
}

// expected is what is to come of an adjustment in the node's mode.
func (n *node) expected(guarded outcome) outcome {
	switch {
	case n.mode == direct:
		return accepted
	case guarded == stripped && !n.mode.relays():
		return rejected // who may only accept or reject cannot strip
	}
	return guarded
}

func (n *node) adjust(a *adjustment) {
	n.Helper()
	if a.refused && n.mode == direct {
		n.Skip("without the guard runc refuses it")
	}
	_ = os.Remove(hookFile)
	pod := n.pod("default", a.annotations)
	want := n.expected(a.want)
	c, err := pod.Create(n.ctx, "app")
	if want == rejected {
		n.rejected(pod, err, a.reasons)
		return
	}
	must(n.T, err)
	must(n.T, c.Start(n.ctx))
	got := n.exec(c, "sh", "-c", a.look)
	if there := got == a.see; there != (want == accepted) {
		n.Errorf("%s: inside, %q writes %q", want, a.look, got)
	}
	if a.other != "" {
		if got := n.exec(c, "sh", "-c", a.other); got != a.otherSee {
			n.Errorf("beside what is stripped: inside, %q writes %q, want %q", a.other, got, a.otherSee)
		}
	}
	if strings.Contains(fmt.Sprint(a.annotations), hookPath) {
		if ran, err := os.ReadFile(hookFile); err != nil || string(ran) != "up\n" {
			n.Errorf("the hook did not run: %q, %v", ran, err)
		}
	}
}

// rejected checks that the container did not come into being and that the user is
// told why.
func (n *node) rejected(pod *cri.Pod, err error, reasons []string) {
	n.Helper()
	if err == nil {
		n.Fatal("the container was created")
	}
	n.says(err.Error(), reasons)
	if there, err := pod.Containers(n.ctx); err != nil || len(there) != 0 {
		n.Errorf("containers of the pod: %v, %v", there, err)
	}
	if _, err := os.Stat(hookFile); err == nil {
		n.Error("the hook ran")
	}
}

// says checks that what the user is told names every reason.
func (n *node) says(message string, reasons []string) {
	n.Helper()
	n.Logf("the user is told: %s", message)
	for _, r := range reasons {
		if !strings.Contains(message, r) {
			n.Errorf("the message says nothing of %q", r)
		}
	}
}
