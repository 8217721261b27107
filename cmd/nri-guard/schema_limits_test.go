package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// schemaErrors returns what the words of JSON Schema that the configuration's schema uses say
// of a value.
func schemaErrors(s map[string]any, v any, at string) (errs []string) {
	add := func(format string, args ...any) { errs = append(errs, at+" "+fmt.Sprintf(format, args...)) }
	if words, ok := s["enum"].([]any); ok && !slices.Contains(words, v) {
		add("is none of %v", words)
	}
	if not, ok := s["not"].(map[string]any); ok && len(schemaErrors(not, v, at)) == 0 {
		add("is one of %v", not["enum"])
	}
	if c, ok := s["const"]; ok && fmt.Sprint(c) != fmt.Sprint(v) {
		add("is not %v", c)
	}
	if is := typeOf(v); s["type"] != nil && is != s["type"] && !(is == "integer" && s["type"] == "number") {
		add("is of type %s, not %v", is, s["type"])
	}
	switch v := v.(type) {
	case string:
		if low, ok := s["minLength"].(float64); ok && float64(len(v)) < low {
			add("is too short")
		}
		if p, ok := s["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(v) {
			add("does not match %s", p)
		}
	case int:
		if low, ok := s["minimum"].(float64); ok && float64(v) < low {
			add("is too small")
		}
		if high, ok := s["maximum"].(float64); ok && float64(v) > high {
			add("is too large")
		}
	case []any:
		if low, ok := s["minItems"].(float64); ok && float64(len(v)) < low {
			add("has too few items")
		}
		for i, item := range v {
			errs = append(errs, schemaErrors(s["items"].(map[string]any), item, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case map[string]any:
		if low, ok := s["minProperties"].(float64); ok && float64(len(v)) < low {
			add("has too few keys")
		}
		required, _ := s["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				add("lacks %s", name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			properties, _ := s["properties"].(map[string]any)
			part, ok := properties[name].(map[string]any)
			if !ok {
				if part, ok = s["additionalProperties"].(map[string]any); !ok {
					add("has %s, which is unknown", name)
					continue
				}
			}
			if names, ok := s["propertyNames"].(map[string]any); ok {
				errs = append(errs, schemaErrors(names, name, at)...)
			}
			errs = append(errs, schemaErrors(part, v[name], strings.TrimPrefix(at+"."+name, "."))...)
		}
	}
	return errs
}

// typeOf is what JSON Schema calls the type of a value.
func typeOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case int:
		return "integer"
	case float64:
		return "number"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return "string"
}

// bySchema is what the published schema says of a configuration.
func bySchema(t *testing.T, text []byte) []string {
	t.Helper()
	published, err := json.Marshal(configSchema())
	if err != nil {
		t.Fatal(err)
	}
	var schema, document map[string]any
	if err := json.Unmarshal(published, &schema); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	return schemaErrors(schema, document, "")
}

// TestSchemaTakesExamples: what is shown and deployed keeps to the schema.
func TestSchemaTakesExamples(t *testing.T) {
	seen := 0
	for _, pattern := range []string{"../../docs/examples/*.yaml", "../../docs/grants/*.yaml", "../../deploy/nri-guard/*.yaml", "../../deploy/kubernetes/*/config.yaml"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			seen++
			if errs := bySchema(t, text); len(errs) > 0 {
				t.Errorf("%s: %q", file, errs)
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d files are there", seen)
	}
}

// TestSchemaAgrees: what the schema refuses the program refuses, and what the program
// takes the schema takes.
func TestSchemaAgrees(t *testing.T) {
	const on = "validator: {enabled: true}\n"
	const proxied = "proxy: {enabled: true}\nruntime: {socket: /run/r.sock}\n"
	for text, want := range map[string]string{
		on + "policy: {profile: {enforce: basline}}":                                    "policy.profile.enforce is none of",
		on + "policy: {profile: {audit: none}}":                                         "policy.profile.audit is none of",
		on + "policy: {timeout: 500mss}":                                                "policy.timeout does not match",
		on + "policy: {timeout: -1s}":                                                   "policy.timeout does not match",
		on + "policy: {timeout: 1m30.5s}":                                               "",
		on + "policy: {enforcement: {writable_mounts: strips}}":                         "policy.enforcement.writable_mounts is none of",
		on + "policy: {enforcement: {writable-mounts: strip}}":                          "policy.enforcement does not match",
		on + "policy: {wasm: [{name: A, path: DIR/a}]}":                                 "policy.wasm[0].name does not match",
		on + "policy: {wasm: [{name: a, path: DIR/a, fuel: 60000000}]}":                 "policy.wasm[0].fuel is too large",
		on + "policy: {wasm: [{name: a, path: DIR/a, sha256: 00ff}]}":                   "policy.wasm[0].sha256 does not match",
		"validator: {enabled: true, name: a b}":                                         "validator.name does not match",
		"validator: {enabled: true, name: -a}":                                          "validator.name does not match",
		"validator: {enabled: true, name: default-validator}":                           "validator.name is one of",
		"validator: {enabled: true, name: nri-guard-observer}":                          "validator.name is one of",
		on + "plugins: [{name: nri-guard}]":                                             "plugins[0].name is one of",
		on + "plugins: [{name: default-validator}]":                                     "plugins[0].name is one of",
		on + "plugins: [{name: nri-guards}]":                                            "",
		proxied + "plugins: [{name: a, identity: {uid: -1}}]":                           "plugins[0].identity.uid is too small",
		proxied + "plugins: [{name: a, identity: {uid: 99999999999}}]":                  "plugins[0].identity.uid is too large",
		"validator: {enabled: true, index: '123'}":                                      "validator.index does not match",
		"validator: {enabled: true, index: '00'}":                                       "",
		on + "runtime: {socket: run.sock}":                                              "runtime.socket does not match",
		on + "runtime: {socket: /run/}":                                                 "runtime.socket does not match",
		on + "proxy: {mode: '0666'}":                                                    "proxy.mode does not match",
		on + "proxy: {mode: '0460'}":                                                    "proxy.mode does not match",
		on + "proxy: {mode: '660'}":                                                     "",
		on + "proxy: {mode: '0640'}":                                                    "",
		on + "proxy: {uid: -1}":                                                         "proxy.uid is too small",
		on + "proxy: {gid: 4294967295}":                                                 "proxy.gid is too large",
		on + "audit: {path: log}":                                                       "audit.path does not match",
		on + "audit: {path: '-', maxSize: -1}":                                          "audit.maxSize is too small",
		on + "admin: {address: localhost:1}":                                            "admin.address does not match",
		on + "admin: {address: '[::1]:9321'}":                                           "",
		on + "admin: {address: off}":                                                    "",
		proxied + "plugins: [{name: a, events: [Create]}]":                              "plugins[0].events[0] is none of",
		proxied + "plugins: [{name: a, events: []}]":                                    "plugins[0].events has too few items",
		proxied + "plugins: [{name: a, identity: }]":                                    "plugins[0].identity is of type null",
		proxied + "plugins: [{name: a, identity: {}}]":                                  "plugins[0].identity has too few keys",
		proxied + "plugins: [{name: a, identity: {uid: 0, exe: }}]":                     "plugins[0].identity.exe is of type null",
		proxied + "plugins: [{name: a, redact: }]":                                      "plugins[0].redact is of type null",
		proxied + "plugins: [{name: a, redact: {env: }}]":                               "plugins[0].redact.env is of type null",
		proxied + "plugins: [{name: a, namespaces: [], grants: []}]":                    "plugins[0].namespaces has too few items",
		proxied + "plugins: [{name: a, grants: [{field: env, keys: [A], values: []}]}]": "plugins[0].grants[0].values has too few items",
		proxied + "plugins: []\nexemptions: []\npolicy: {paths: [], enforcement: {}}":   "",
		on + "exemptions: [{policy: writable_mounts, namespaces: }]":                    "exemptions[0].namespaces is of type null",
		proxied + "plugins: [{name: a, identity: {exe: '', uid: 0}}]":                   "plugins[0].identity.exe is too short",
		proxied + "plugins: [{name: a, identity: {sha256: '', uid: 0}}]":                "plugins[0].identity.sha256 is too short",
		on + "runtime: {socket: ''}":                                                    "runtime.socket is too short",
		on + "runtime: {hostRoot: ''}":                                                  "runtime.hostRoot is too short",
		on + "policy: {profile: {enforce: ''}}":                                         "policy.profile.enforce is none of",
		on + "policy: {profile: {audit: ''}}":                                           "policy.profile.audit is none of",
		on + "policy: {sandbox: {cache: ''}}":                                           "policy.sandbox.cache is too short",
		"proxy: {enabled: true, launch: {path: ''}}\nruntime: {socket: /run/r.sock}":    "proxy.launch.path is too short",
		on + "audit: {path: ''}":                                                        "",
		on + "policy: {enforcement: {writable_mounts: ''}}":                             "policy.enforcement.writable_mounts is none of",
		on + "policy:":           "policy is of type null",
		on + "policy: {paths: }": "policy.paths is of type null",
		on + "policy: {enforcement: {writable_mounts: }}":                                                        "policy.enforcement.writable_mounts is",
		on + "runtime: {socket: }":                                                                               "runtime.socket is of type null",
		"proxy: {enabled: true, launch: }\nruntime: {socket: /run/r.sock}":                                       "proxy.launch is of type null",
		proxied + "plugins: [{name: a, identity: {sha256: ab}}]":                                                 "plugins[0].identity.sha256",
		proxied + "plugins: [{name: a, identity: {exe: bin/a}}]":                                                 "plugins[0].identity.exe does not match",
		proxied + "plugins: [{name: '*', events: [CreateContainer]}]":                                            "",
		proxied + "plugins: [{events: [CreateContainer]}]":                                                       "plugins[0] lacks name",
		on + "plugins: [{name: a, grants: [{field: mounts}]}]":                                                   "plugins[0].grants[0].field is none of",
		on + "exemptions: [{policy: writable_mounts, namespaces: []}]":                                           "exemptions[0].namespaces has too few",
		on + "exemptions: [{policy: writable_mounts}]":                                                           "exemptions[0] lacks namespaces",
		"validator: {enabled: true}\nproxy: {enabled: true}\nruntime: {socket: /run/r.sock, builtin: [05-part]}": "",
		"validator: {enabled: true}\nproxy: {enabled: true}\nruntime: {socket: /run/r.sock, builtin: [part]}":    "runtime.builtin[0] does not match",
		on + "unknown: 1": "has unknown, which is unknown",
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "c.yaml")
		text = strings.ReplaceAll(text, "DIR", dir)
		whole := []byte("version: 1\n" + text + "\n")
		if err := os.WriteFile(file, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		got := strings.Join(bySchema(t, whole), "; ")
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: the schema says %q, want %q", text, got, want)
		}
		if _, err := load(t.Context(), file); (err == nil) != (want == "") {
			t.Errorf("%s: the schema says %q, the program %v", text, got, err)
		}
	}
}
