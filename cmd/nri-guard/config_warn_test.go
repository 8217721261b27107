package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestConfigWarnings has what configurations say and do not mean, line by line.
func TestConfigWarnings(t *testing.T) {
	const plugin = "policy: {profile: {enforce: baseline}}\nplugins:\n- name: a\n  grants:\n"
	const idle = "FILE:1: version: by this file nothing is guarded: neither validator.enabled nor proxy.enabled is set"
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"nothing":                     {"", []string{idle}},
		"a validator that is not":     {"validator: {name: a}", []string{idle}},
		"a socket alone":              {"runtime: {socket: /run/a.sock}\npolicy: {profile: {enforce: restricted}}", []string{idle}},
		"a validator":                 {"validator: {enabled: true}", nil},
		"policies for a daemon":       {"policy: {profile: {enforce: restricted}}", nil},
		"a name with its index":       {"plugins:\n- {name: 10-device-injector}", []string{`FILE:3: plugins[0].name: plugin "10-device-injector": names are without the index; did you mean "device-injector"?`}},
		"a name that begins with ten": {"plugins: [{name: 10x}]", nil},
		"what can be": {plugin + `  - {field: mount, keys: [/, /data/*, "/[a-c]/x"], sources: [/srv]}
  - {field: device, keys: [/dev/nvidia*], hostPaths: ["/dev/nvidia?"]}
  - {field: hook, keys: [create*], path: /bin/x}
  - {field: namespace, keys: [network]}
  - {field: rlimit, keys: [RLIMIT_*]}
  - {field: resource, keys: [cpu.*, "*", hugepages.2MB, unified.memory.high, "un*", memory.limit]}
  - {field: env, keys: ["A*"]}
  - {field: cdiDevice, keys: ["nvidia.com/gpu=*", "vendor.com/*"]}
  - {field: sysctl, keys: [net.ipv4.conf.eth0/1.forwarding]}
  - {field: annotation, keys: ["a/b"]}
`, nil},
		"what cannot": {plugin + `  - {field: mount, keys: [data, /data/, "/a/../b", "*"], sources: [/srv]}
  - {field: device, keys: [/dev//null], hostPaths: [sda]}
  - {field: hook, keys: [pre-start], path: /bin/x}
  - {field: namespace, keys: [net]}
  - {field: resource, keys: [memory.max, hugepages]}
  - {field: env, keys: [A=1]}
  - {field: cdiDevice, keys: [nvidia.com/gpu]}
  - {field: sysctl, keys: [net/ipv4/ip_forward]}
  - {field: netDevice, keys: [/sys/class/net/eth0]}
`, []string{
			`FILE:6: plugins[0].grants[0].keys[0]: "data" matches no change of field mount: paths are absolute`,
			`FILE:6: plugins[0].grants[0].keys[1]: "/data/" matches no change of field mount: paths are in their shortest form, as in "/data"`,
			`FILE:6: plugins[0].grants[0].keys[2]: "/a/../b" matches no change of field mount: paths are in their shortest form, as in "/b"`,
			`FILE:6: plugins[0].grants[0].keys[3]: "*" matches no change of field mount: a star does not cross a slash, and paths begin with one`,
			`FILE:7: plugins[0].grants[1].keys[0]: "/dev//null" matches no change of field device: paths are in their shortest form, as in "/dev/null"`,
			`FILE:7: plugins[0].grants[1].hostPaths[0]: "sda" matches no node: paths are absolute`,
			`FILE:8: plugins[0].grants[2].keys[0]: "pre-start" matches no change of field hook: there are prestart, createRuntime, createContainer, startContainer, poststart, poststop`,
			`FILE:9: plugins[0].grants[3].keys[0]: "net" matches no change of field namespace: there are cgroup, ipc, mount, network, pid, time, user, uts`,
			`FILE:10: plugins[0].grants[4].keys[0]: "memory.max" matches no change of field resource: there are ` + strings.Join(resources, ", ") + `, hugepages.SIZE, unified.FILE`,
			`FILE:10: plugins[0].grants[4].keys[1]: "hugepages" matches no change of field resource: there are ` + strings.Join(resources, ", ") + `, hugepages.SIZE, unified.FILE`,
			`FILE:11: plugins[0].grants[5].keys[0]: "A=1" matches no change of field env: it is the name of a variable, without its value`,
			`FILE:12: plugins[0].grants[6].keys[0]: "nvidia.com/gpu" matches no change of field cdiDevice: it reads vendor/class=name`,
			`FILE:13: plugins[0].grants[7].keys[0]: "net/ipv4/ip_forward" matches no change of field sysctl: it is written with dots, as in net.ipv4.ip_forward`,
			`FILE:14: plugins[0].grants[8].keys[0]: "/sys/class/net/eth0" matches no change of field netDevice: it is the name of an interface`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "guard.yaml")
			if err := os.WriteFile(file, []byte("version: 1\n"+c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			read, err := readConfig(file)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range read.warnings() {
				got = append(got, strings.ReplaceAll(w.Error(), file, "FILE"))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestUsualPlugins: the directory of plugins that runtimes have by default need not be
// there, but it is said that it is not.
func TestUsualPlugins(t *testing.T) {
	if _, err := os.Stat("/opt/nri/plugins"); err == nil {
		t.Skip("it is there")
	}
	file := filepath.Join(t.TempDir(), "guard.yaml")
	text := "version: 1\nruntime: {socket: /run/a.sock}\nproxy: {enabled: true, launch: {path: /opt/nri/plugins, config: /etc/nri/conf.d}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.checkLaunched(); err != nil {
		t.Error(err)
	}
	want := file + ":3: proxy.launch.path: /opt/nri/plugins does not exist: no plugin is started"
	if got := c.warnings(); len(got) != 1 || got[0].Error() != want {
		t.Errorf("warnings are %v, want %s", got, want)
	}
}
