package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestConfigContradicts has what is wrong with configurations, line by line. DIR is
// a directory in which etc is a link to real, and FILE the configuration file in it.
func TestConfigContradicts(t *testing.T) {
	const proxy = "proxy: {enabled: true}\nruntime: {socket: /run/nri-runtime/nri.sock}\n"
	long := "/" + strings.Repeat("s", 107)
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"validator alone": {"validator: {enabled: true}", nil},
		"proxy":           {proxy, nil},
		"both":            {proxy + "validator: {enabled: true}", nil},
		"no runtime's socket with the proxy": {"\nproxy: {enabled: true}", []string{
			"FILE: runtime.socket: must be given with the proxy, which takes the well-known socket: have the runtime listen elsewhere, in a directory for root alone, and name that here"}},
		"one socket": {"proxy: {enabled: true, socket: /run/a.sock}\nruntime: {socket: /run/a.sock}", []string{
			"FILE:2: proxy.socket: /run/a.sock is the runtime's own socket (runtime.socket is /run/a.sock): have the runtime listen elsewhere"}},
		"one socket by links": {"runtime: {socket: DIR/etc/a.sock}\nproxy: {enabled: true, socket: DIR/real/x/../a.sock}", []string{
			"FILE:3: proxy.socket: DIR/real/x/../a.sock is the runtime's own socket (runtime.socket is DIR/etc/a.sock): have the runtime listen elsewhere"}},
		"one socket that is there": {"runtime: {socket: DIR/one}\nproxy: {enabled: true, socket: DIR/two}", []string{
			"FILE:3: proxy.socket: DIR/two is the runtime's own socket (runtime.socket is DIR/one): have the runtime listen elsewhere"}},
		"one socket without the proxy": {"runtime: {socket: /var/run/nri/nri.sock}\nvalidator: {enabled: true}", nil},
		"relative sockets": {"runtime:\n  socket: a.sock\nproxy:\n  socket: /run/", []string{
			`FILE:3: runtime.socket: "a.sock" must be the absolute path of a socket`,
			`FILE:5: proxy.socket: "/run/" must be the absolute path of a socket`}},
		"a socket's path that is too long": {"runtime: {socket: " + long + "}", []string{
			`FILE:2: runtime.socket: "` + long + `" is too long for the path of a socket, which has at most 107 bytes`}},
		"a directory that is too long": {"proxy: {socket: " + long[:99] + "/s}", []string{
			`FILE:2: proxy.socket: "` + long[:99] + `" is too long for the directory of a socket, which is made there under a name of 8 bytes before it gets its own: it has at most 98 bytes`}},
		"a directory that is not too long": {"proxy: {socket: " + long[:98] + "/ssssssss}", nil},
		"parts of the runtime": {"validator: {enabled: true}\nproxy: {enabled: true}\nruntime:\n  socket: /run/nri-runtime/nri.sock\n  builtin: [05-part, part, 5-part, 05-part, 99-nri-guard, 00-nri-guard-observer]", []string{
			`FILE:6: runtime.builtin[1]: "part" does not read INDEX-NAME, as 10-name`,
			`FILE:6: runtime.builtin[2]: "5-part" does not read INDEX-NAME, as 10-name`,
			`FILE:6: runtime.builtin[3]: 05-part stands here twice`,
			`FILE:6: runtime.builtin[4]: nri-guard is the guard's own name, and the guard knows itself; name only plugins that are part of the runtime`,
			`FILE:6: runtime.builtin[5]: nri-guard-observer is the guard's own name, and the guard knows itself; name only plugins that are part of the runtime`}},
		"parts of the runtime that nobody asks for": {"runtime: {builtin: [05-part]}\nvalidator: {enabled: true}", []string{
			"FILE:2: runtime.builtin[0]: without both proxy.enabled and validator.enabled nobody asks whether 05-part came through the proxy"}},
		"host's root": {"runtime: {hostRoot: DIR/one}", []string{
			"FILE:2: runtime.hostRoot: DIR/one is no directory"}},
		"host's root is not there": {"runtime: {hostRoot: DIR/gone}", []string{
			"FILE:2: runtime.hostRoot: stat DIR/gone: no such file or directory"}},
		"host's root is relative": {"runtime: {hostRoot: .}", []string{
			`FILE:2: runtime.hostRoot: "." must be absolute`}},
		"names": {"validator:\n  name: \"\"\n  index: \"7\"", []string{
			"FILE:3: validator.name: invalid plugin name: name is empty",
			`FILE:4: validator.index: invalid plugin index "7", must be 2 digits`}},
		"a name that NRI refuses": {"validator: {name: a/b}", []string{
			`FILE:2: validator.name: invalid plugin name "a/b": contains invalid character '/'`}},
		"a name that marks a removal": {"validator: {name: -a}", []string{
			`FILE:2: validator.name: invalid plugin name "-a": NRI takes a leading - for the mark of a removal`}},
		"the observer's name": {"validator: {name: nri-guard-observer}", []string{
			`FILE:2: validator.name: "nri-guard-observer" is the name of the guard's other connection to the runtime`}},
		"NRI's own name": {"validator: {name: default-validator}", []string{
			`FILE:2: validator.name: "default-validator" is the name of the validator that is part of NRI`}},
		"names that plugins cannot have": {"validator: {enabled: true, name: mine}\nplugins:\n- name: nri-guard\n- name: mine\n- name: nri-guard-observer\n- name: default-validator\n- name: nri-guard-2\n", []string{
			`FILE:4: plugins[0].name: "nri-guard" is the guard's own name; no plugin can have it`,
			`FILE:5: plugins[1].name: "mine" is the guard's own name; no plugin can have it`,
			`FILE:6: plugins[2].name: "nri-guard-observer" is the guard's own name; no plugin can have it`,
			`FILE:7: plugins[3].name: "default-validator" is the name of the validator that is part of NRI; no plugin can have it`}},
		"names that NRI refuses": {proxy + "plugins: [{name: '*'}, {name: a/b},\n  {name: 'a*'}]", []string{
			`FILE:4: plugins[1].name: invalid plugin name "a/b": contains invalid character '/'`,
			`FILE:5: plugins[2].name: invalid plugin name "a*": contains invalid character '*'`}},
		"modes": {"proxy: {mode: 0400}", []string{
			"FILE:2: proxy.mode: 0400 keeps the owner from connecting; it needs 0600 at least"}},
		"a socket for everybody": {"proxy: {mode: '0666'}", []string{
			"FILE:2: proxy.mode: 0666 lets everybody on the host connect; allow a group and set proxy.gid"}},
		"no mode": {"proxy: {mode: 0o660}", []string{
			`FILE:2: proxy.mode: "0o660" is no mode such as 0660`}},
		"ids": {"proxy: {uid: -1,\n  gid: 4294967295}", []string{
			"FILE:2: proxy.uid: -1 is no id; there are 0 to 4294967294", "FILE:3: proxy.gid: 4294967295 is no id; there are 0 to 4294967294"}},
		"ids of plugins": {proxy + "plugins:\n- {name: a, identity: {uid: -1}}\n- {name: b, identity: {uid: 99999999999}}\n- {name: c, identity: {uid: 4294967294}}", []string{
			"FILE:5: plugins[0].identity.uid: -1 is no id; there are 0 to 4294967294",
			"FILE:6: plugins[1].identity.uid: 99999999999 is no id; there are 0 to 4294967294"}},
		"launch without proxy": {"validator: {enabled: true}\nproxy: {launch: {path: /opt/nri/plugins}}", []string{
			"FILE:3: proxy.launch: plugins are started by the proxy only; set proxy.enabled"}},
		"launch nothing": {"proxy: {enabled: true" + ", launch: {config: etc}}\nruntime: {socket: /run/a.sock}", []string{
			"FILE:2: proxy.launch.config: there are no plugins to configure; set proxy.launch.path",
			`FILE:2: proxy.launch.config: "etc" must be absolute`}},
		"identity without proxy": {"validator: {enabled: true}\nplugins:\n- name: a\n  identity: {uid: 0}", []string{
			"FILE:5: plugins[0].identity: plugin a: a validator cannot tell who is at the other end of a connection; set proxy.enabled or leave the identity out"}},
		"identity of an interpreter": {proxy + "plugins:\n- name: a\n  identity: {uid: 0,\n    exe: /usr/bin/python3.12}\n- {name: b, identity: {exe: /opt/python-plugin}}", []string{
			"FILE:7: plugins[0].identity.exe: plugin a: /usr/bin/python3.12 runs what it is told, so that everybody's scripts would be this plugin; name a program, or demand the user alone"}},
		"identity for an embedded guard": {"plugins: [{name: a, identity: {uid: 0}}]", nil},
		"events and redaction without proxy": {"plugins:\n- name: a\n  events: [CreateContainer]\n  redact: {env: [A]}", []string{
			"FILE:4: plugins[0].events: plugin a: subscriptions are limited by the proxy only; set proxy.enabled",
			"FILE:5: plugins[0].redact: plugin a: values are hidden by the proxy only; set proxy.enabled"}},
		"events": {proxy + "plugins: [{name: a, events: [StopContainer, stopcontainer]}]", []string{
			`FILE:4: plugins[0].events[1]: plugin a: there is no event "stopcontainer"; there are ` + strings.Join(eventNames(), ", ")}},
		"what is empty would be open": {proxy + "plugins:\n- name: a\n  identity:\n    # exe: /opt/a\n  events: []\n  redact:\n  namespaces: []\n" +
			"  grants:\n  - {field: env, keys: [A], values: [],\n     ops: []}", []string{
			"FILE:6: plugins[0].identity: is empty; leave it out or give it a value",
			"FILE:8: plugins[0].events: an empty list would stand for all events; leave it out if that is meant, or name some",
			"FILE:9: plugins[0].redact: is empty; leave it out or give it a value",
			"FILE:10: plugins[0].namespaces: an empty list would stand for all namespaces; leave it out if that is meant, or name some",
			"FILE:12: plugins[0].grants[0].values: an empty list would stand for any value; leave it out if that is meant, or name some",
			"FILE:13: plugins[0].grants[0].ops: an empty list would stand for add and replace; leave it out if that is meant, or name some"}},
		"sections without anything": {"runtime:\n  socket:\nvalidator:\naudit: {path: ~}", []string{
			"FILE:3: runtime.socket: is empty; leave it out or give it a value",
			"FILE:4: validator: is empty; leave it out or give it a value",
			"FILE:5: audit.path: is empty; leave it out or give it a value"}},
		"what is empty and closed": {proxy + "plugins: [{name: a, redact: {env: []}, grants: []}]\nexemptions: []\npolicy: {paths: [], wasm: []}\naudit: {unmask: []}", nil},
		"patterns": {proxy + "plugins: [{name: a, redact: {env: ['['], annotations: [a, '\\']}}]", []string{
			`FILE:4: plugins[0].redact.env[0]: pattern "[": syntax error in pattern`,
			`FILE:4: plugins[0].redact.annotations[1]: pattern "\\": syntax error in pattern`}},
		"one plugin in several entries": {proxy + "plugins:\n" +
			"- {name: a, identity: {uid: 0}, events: [StopContainer], namespaces: [x]}\n- {name: b}\n- {name: a, namespaces: [y]}\n" +
			"- {name: a, identity: {uid: 0}}\n", nil},
		"one plugin, several things": {proxy + "plugins:\n- {name: a, identity: {uid: 0}}\n- {name: a, identity: {uid: 1}}\n- {name: a, redact: {env: [A]}}", []string{
			"FILE:6: plugins[1].identity: plugin a: plugins[0], which is about the same plugin, does not say the same; say it there once",
			"FILE:7: plugins[2].redact: plugin a: plugins[0], which is about the same plugin, does not say the same; say it there once"}},
		"best effort at nothing": {"audit: {bestEffort: true}", []string{
			"FILE:2: audit.bestEffort: there is no decision log; set audit.path"}},
		"a log at the proxy's socket": {proxy + "audit:\n  path: /var/run/nri/nri.sock", []string{
			"FILE:5: audit.path: /var/run/nri/nri.sock belongs to proxy.socket; the decision log needs a place of its own"}},
		"a log at the runtime's socket": {proxy + "audit: {path: /run/nri-runtime/../nri-runtime/nri.sock}", []string{
			"FILE:4: audit.path: /run/nri-runtime/../nri-runtime/nri.sock belongs to runtime.socket; the decision log needs a place of its own"}},
		"a log at the runtime's usual socket": {"validator: {enabled: true}\naudit: {path: /var/run/nri/nri.sock}", []string{
			"FILE:3: audit.path: /var/run/nri/nri.sock belongs to runtime.socket; the decision log needs a place of its own"}},
		"a log at a socket by links": {"validator: {enabled: true}\nruntime: {socket: DIR/real/a}\naudit: {path: DIR/etc/a}", []string{
			"FILE:4: audit.path: DIR/etc/a belongs to runtime.socket; the decision log needs a place of its own"}},
		"a log at the configuration": {"audit: {path: DIR/etc/../guard.yaml}", []string{
			"FILE:2: audit.path: DIR/etc/../guard.yaml belongs to the configuration file; the decision log needs a place of its own"}},
		"a log among policies": {"policy: {paths: [two, real]}\naudit: {path: DIR/etc/new/log}", []string{
			"FILE:3: audit.path: DIR/etc/new/log belongs to policy.paths[1]; the decision log needs a place of its own"}},
		"a log at a module": {"policy: {wasm: [{name: a, path: two}]}\naudit: {path: DIR/one}", []string{
			"FILE:3: audit.path: DIR/one belongs to policy.wasm[0].path; the decision log needs a place of its own"}},
		"a log among plugins": {"proxy: {enabled: true, launch: {path: DIR/real}}\nruntime: {socket: /run/a.sock}\naudit: {path: DIR/real/log}", []string{
			"FILE:4: audit.path: DIR/real/log belongs to proxy.launch.path; the decision log needs a place of its own"}},
		"a log beside everything": {proxy + "policy: {paths: [real]}\naudit: {path: DIR/real-log}", nil},
		"no admin":                {"admin: {address: off}", nil},
		"admin on IPv6":           {"admin: {address: '[::1]:0'}", nil},
		"public admin":            {"admin: {address: '0.0.0.0:9321', public: true}", nil},
		"admin for all":           {"admin: {address: '0.0.0.0:9321'}", []string{"FILE:2: admin.address: 0.0.0.0 can be reached from other machines; if that is meant, set admin.public"}},
		"admin nowhere":           {"admin: {address: ''}", []string{`FILE:2: admin.address: "" is no address such as 127.0.0.1:9321, and not off`}},
		"admin's names":           {"admin: {address: 'localhost:9321'}", []string{`FILE:2: admin.address: "localhost" is no IP address`}},
		"admin's port":            {"admin: {address: '127.0.0.1:http'}", []string{`FILE:2: admin.address: "http" is no port`}},
		"unknown keys":            {"proxy: {sockets: []}", []string{`FILE:2: unknown key "proxy.sockets"; known here: enabled, gid, launch, mode, socket, uid`}},
		"wrong kinds":             {"validator: true", []string{"FILE:2: validator: must be a mapping"}},
		"wrong switches":          {"validator: {enabled: maybe}", []string{"FILE:2: validator.enabled: cannot unmarshal !!str `maybe` into bool"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, err := range []error{
				os.Mkdir(filepath.Join(dir, "real"), 0o755),
				os.Symlink("real", filepath.Join(dir, "etc")),
				os.WriteFile(filepath.Join(dir, "one"), nil, 0o600),
				os.Link(filepath.Join(dir, "one"), filepath.Join(dir, "two")),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			file := filepath.Join(dir, "guard.yaml")
			text := "version: 1\n" + strings.ReplaceAll(c.text, "DIR", dir)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var got []string
			if _, err := readConfig(file); err != nil {
				message := strings.ReplaceAll(err.Error(), file, "FILE")
				got = strings.Split(strings.ReplaceAll(message, dir, "DIR"), "\n")
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
