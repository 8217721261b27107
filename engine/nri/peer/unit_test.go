package peer

import (
	"strings"
	"testing"
)

const (
	hexA = "5f2c1d7e8b9a4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d"
	hexB = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// TestUnit goes through cgroups as they are found on nodes, and as somebody would
// name them who wants to be taken for another.
func TestUnit(t *testing.T) {
	const podUID = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
	const podSlice = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a1b2c3d_4e5f_6071_8293_a4b5c6d7e8f9.slice"
	for _, c := range []struct{ cgroup, want string }{
		// systemd
		{"/system.slice/containerd.service", "containerd.service"},
		{"/system.slice/tetragon.service/monitor", "tetragon.service"},
		{"/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"},
		{`/system.slice/system-nri\x2dplugin.slice/nri-plugin@10\x2dinjector.service`, `nri-plugin@10\x2dinjector.service`},
		{"/system.slice/run-r1234567890abcdef.scope", "run-r1234567890abcdef.scope"},
		{"/system.slice/_cgroup.service", "cgroup.service"},
		{"/system.slice/__odd.service", "_odd.service"},
		{"/init.scope", "init.scope"},
		{"/top.service", "top.service"},
		{"/a.slice/a-b.slice/a-b-c.slice/deep.service/x/y/z", "deep.service"},
		{"/system.slice/gone.service (deleted)", "gone.service"},
		{"/machine.slice/machine-debian.scope/payload/system.slice/trusted.service", "machine-debian.scope"},
		{"/machine.slice/systemd-nspawn@box.service/payload/init.scope", "systemd-nspawn@box.service"},
		{"/system.slice/crio-conmon-" + hexA + ".scope", "crio-conmon-" + hexA + ".scope"},
		{"/system.slice/libpod-conmon-" + hexA + ".scope", "libpod-conmon-" + hexA + ".scope"},

		// users
		{"/user.slice/user-1000.slice/session-2.scope", "session-2.scope"},
		{"/user.slice/user-1000.slice/user@1000.service/init.scope", "user@1000.service/init.scope"},
		{"/user.slice/user-1000.slice/user@1000.service/app.slice/backup.service", "user@1000.service/backup.service"},
		{"/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome\\x2dterminal-99.scope", "user@1000.service/app-gnome\\x2dterminal-99.scope"},
		{"/user.slice/user-1000.slice/user@1000.service", "user@1000.service"},
		{"/user.slice/user-1000.slice/user@1000.service/anything", "user@1000.service"},
		{"/user.slice/user-1000.slice/user@1000.service/system.slice/containerd.service", "user@1000.service/containerd.service"},
		{"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + hexA + ".scope", "user@1000.service/libpod-" + hexA + ".scope"},
		{"/user.slice/user-1000.slice/user@1000.service/" + hexA, "user@1000.service"},
		{"/user.slice/user-1000.slice/user@1000.service/a b\tc.service", "user@1000.service"},

		// containers, by systemd
		{podSlice + "/cri-containerd-" + hexA + ".scope", hexA},
		{podSlice + "/crio-" + hexA + ".scope", hexA},
		{podSlice + "/docker-" + hexA + ".scope", hexA},
		{"/system.slice/docker-" + hexA + ".scope", hexA},
		{"/system.slice/nerdctl-" + hexA + ".scope", hexA},
		{"/machine.slice/libpod-" + hexA + ".scope/container", hexA},
		{"/../../kubepods.slice/kubepods-pod1.slice/cri-containerd-" + hexA + ".scope", hexA},
		{"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/cri-containerd-" + hexA + ".scope", hexA},

		// containers, by the runtime itself
		{"/kubepods/burstable/pod" + podUID + "/" + hexA, hexA},
		{"/kubepods/pod" + podUID + "/" + hexA, hexA},
		{"/kubepods/besteffort/pod" + podUID + "/crio-" + hexA, hexA},
		{"/docker/" + hexA, hexA},
		{"/docker/" + hexA + "/init.scope", hexA},
		{"/libpod_parent/libpod-" + hexA, hexA},
		{"/default/" + hexA, hexA},

		// one in the other: what is outside counts
		{"/system.slice/docker-" + hexA + ".scope/kubelet/kubepods/besteffort/pod1/" + hexB, hexA},
		{"/system.slice/docker-" + hexA + ".scope/system.slice/containerd.service", hexA},
		{"/docker/" + hexA + "/docker/" + hexB, hexA},
		{"/system.slice/containerd.service/kubepods/" + hexA, "containerd.service"},
		{"/system.slice/evil.service/docker-" + hexA + ".scope", "evil.service"},

		// neither
		{"", ""},
		{"/", ""},
		{"/user.slice", ""},
		{"/kubepods.slice", ""},
		{"/default/web", ""},
		{"/docker/" + hexA[1:], ""},
		{"/docker/" + hexA + "0", ""},
		{"/docker/" + strings.ToUpper(hexA), ""},
		{"/system.slice/.service", ""},
		{"/system.slice/trusted.service.d", ""},
		{"/system.slice/a b.service", ""},
		{"/system.slice/dev-hugepages.mount", ""},
		{"/system.slice/" + hexA + ".scope", hexA + ".scope"},
		{"/system.slice/docker-" + hexA[1:] + ".scope", "docker-" + hexA[1:] + ".scope"},
		{"/system.slice/other-" + hexA + ".scope", "other-" + hexA + ".scope"},
	} {
		if got := Unit(c.cgroup); got != c.want {
			t.Errorf("the unit of %s is %q, want %q", c.cgroup, got, c.want)
		}
	}
}

// TestCgroup reads /proc/PID/cgroup.
func TestCgroup(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"second version":      {"0::/system.slice/a.service\n", "/system.slice/a.service"},
		"root":                {"0::/\n", "/"},
		"first version":       {"12:pids:/docker/x\n11:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/y\n", "/docker/y"},
		"first, no systemd":   {"3:memory:/m\n2:cpu,cpuacct:/c\n", "/c"},
		"hybrid":              {"5:pids:/system.slice/a.service\n1:name=systemd:/system.slice/a.service\n0::/system.slice/a.service\n", "/system.slice/a.service"},
		"hybrid, second bare": {"5:pids:/kubepods/x\n1:name=systemd:/kubepods/y\n0::/\n", "/kubepods/y"},
		"systemd bare":        {"5:pids:/kubepods/x\n1:name=systemd:/\n0::/\n", "/kubepods/x"},
		"colons":              {"0::/system.slice/a:b::c.service\n", "/system.slice/a:b::c.service"},
		"no line end":         {"0::/a.service", "/a.service"},
		"another namespace":   {"0::/../b.service\n", "/../b.service"},
		"empty":               {"", ""},
		"no path":             {"0::\n", ""},
		"nonsense":            {"hello\n1:2\n::\n0::relative\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := parseCgroup(c.text)
			if got != c.want || ok != (c.want != "") {
				t.Errorf("it is %q, %v, want %q", got, ok, c.want)
			}
		})
	}
}

// FuzzUnit: whatever a cgroup is called, what comes out is a unit, an id, or a
// unit of a user's manager.
func FuzzUnit(f *testing.F) {
	f.Add("/user.slice/user@1.service/a.service")
	f.Add("/docker/" + hexA)
	f.Fuzz(func(t *testing.T, cgroup string) {
		unit := Unit(cgroup)
		if manager, own, ok := strings.Cut(unit, "/"); ok {
			if !strings.HasPrefix(manager, "user@") || !isUnit(manager) || !isUnit(own) {
				t.Errorf("%q of %q", unit, cgroup)
			}
		} else if unit != "" && !isUnit(unit) && !isHex64(unit) {
			t.Errorf("%q of %q", unit, cgroup)
		}
	})
}
