package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Docker has no pods: orders are labels. It takes variables and mounts from plugins,
// and of the options of a mount ro alone.
var dockerAdjustments = []struct {
	name, adjust string
	want         outcome
	look, see    string
	other        string
	reasons      []string
}{{
	name:   "variable and read-only mount",
	adjust: `{"env": [{"key": "FROM_PLUGIN", "value": "yes"}], "mounts": [{"destination": "/mnt", "type": "bind", "source": "` + sharedDir + `", "options": ["ro"]}]}`,
	want:   accepted, look: "echo $FROM_PLUGIN $FROM_IMAGE $(cat /mnt/shared)", see: "yes yes of the host",
}, {
	name:   "mount of the host's /etc",
	adjust: `{"mounts": [{"destination": "/mnt", "type": "bind", "source": "/etc", "options": ["ro"]}]}`,
	want:   rejected, look: "ls /mnt/passwd", see: "/mnt/passwd",
	reasons: []string{"host_paths", "10-obedient", "/etc"},
}, {
	name:   "variable that loads code",
	adjust: `{"env": [{"key": "LD_PRELOAD", "value": "/mnt/x.so"}]}`,
	want:   rejected, look: "echo $LD_PRELOAD", see: "/mnt/x.so",
	reasons: []string{"environment", "10-obedient", "LD_PRELOAD"},
}, {
	name:   "writable mount beside a variable",
	adjust: `{"env": [{"key": "FROM_PLUGIN", "value": "yes"}], "mounts": [{"destination": "/mnt", "type": "bind", "source": "` + sharedDir + `"}]}`,
	want:   stripped, look: "echo $FROM_PLUGIN $(ls /mnt)", see: "yes shared", other: "yes",
	reasons: []string{"writable_mounts", "10-obedient", "/mnt"},
}}

func TestDocker(t *testing.T) {
	for _, m := range []mode{direct, validator, proxy} {
		t.Run(string(m), func(t *testing.T) {
			prepareHost(t)
			n := start(t, setup{mode: m, docker: true, guard: guardConfig})
			n.obedient("10", "obedient")
			for _, a := range dockerAdjustments {
				t.Run(a.name, func(t *testing.T) {
					out, err := n.docker.Run(n.ctx, map[string]string{"obedient.e2e": `{"adjust": ` + a.adjust + `}`}, "sh", "-c", a.look)
					switch got, want := strings.TrimSpace(out), n.expected(a.want); {
					case want == rejected:
						n.in(t).rejectedByDocker(err, a.reasons)
					case err != nil:
						t.Fatal(err)
					case want == accepted && got != a.see, want == stripped && got != a.other:
						t.Errorf("%s: inside, %q writes %q", want, a.look, got)
					}
				})
			}
		})
	}
}

// rejectedByDocker checks that there is no container and that the user is told why.
func (n *node) rejectedByDocker(err error, reasons []string) {
	n.Helper()
	if err == nil {
		n.Fatal("the container was created")
	}
	n.says(err.Error(), reasons)
	if count, err := n.docker.Containers(n.ctx); err != nil || count != 0 {
		n.Errorf("%d containers are there, %v", count, err)
	}
}

// The configurations that deploy/ has for dockerd are dockerd's.
func TestDockerConfigurations(t *testing.T) {
	files, err := filepath.Glob("../../deploy/docker/*.json")
	must(t, err)
	if len(files) == 0 {
		t.Fatal("there are none")
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			if out, err := exec.Command(work(runtimes, "dockerd"), "--validate", "--userland-proxy=false", "--config-file", f).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
