package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/audit"
	"github.com/nri-guard/nri-guard/engine/policy"
)

func TestReadConfig(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.yaml")
	text := `
version: 1
policy:
  profile: {enforce: baseline, audit: restricted}
  paths: [/etc/nri-guard/policies, own]
  enforcement: {writable_mounts: strip}
  timeout: 250ms
plugins:
- name: device-injector
  namespaces: [ml-*]
  events: [CreateContainer]
  redact: {env: ["*"]}
  grants:
  - {field: mount, sources: [/opt/models], readOnly: true}
exemptions:
- {policy: writable_mounts, namespaces: [kube-system]}
audit: {path: /var/log/nri-guard/decisions.ndjson, unmask: [LANG], maxBackups: -1, labels: {node: n1}, bestEffort: true}
runtime: {socket: /run/nri-runtime/nri.sock}
validator: {enabled: true, index: "98"}
proxy: {enabled: true, mode: 0660, gid: 1, launch: {path: /opt/nri/plugins}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	got.At = nil
	yes := true
	gid := int64(1)
	want := &config{
		Version:   1,
		Named:     2,
		Runtime:   runtimeConfig{Socket: "/run/nri-runtime/nri.sock"},
		Validator: validatorConfig{Enabled: true, Name: "nri-guard", Index: "98"},
		Proxy: proxyConfig{Enabled: true, Socket: "/var/run/nri/nri.sock", Mode: 0o660, GID: &gid,
			Launch: launchConfig{Path: "/opt/nri/plugins"}},
		Admin: adminConfig{Address: "127.0.0.1:9321"},
		Config: policy.Config{
			Policy: policy.Policies{
				Profile:     policy.Profile{Enforce: "baseline", Audit: "restricted"},
				Paths:       []string{"/etc/nri-guard/policies", filepath.Join(dir, "own")},
				Enforcement: map[string]engine.Enforcement{"writable_mounts": engine.Strip},
				Timeout:     policy.Duration(250 * time.Millisecond),
			},
			Plugins: []policy.Plugin{{Name: "device-injector", Namespaces: []string{"ml-*"},
				Events: []string{"CreateContainer"}, Redact: policy.Redact{Env: []string{"*"}},
				Grants: []policy.Grant{{Field: engine.MountPoint, Sources: []string{"/opt/models"}, ReadOnly: &yes}}}},
			Exemptions: []policy.Exemption{{Policy: "writable_mounts", Namespaces: []string{"kube-system"}}},
		},
		Audit: auditConfig{BestEffort: true, Config: audit.Config{Path: "/var/log/nri-guard/decisions.ndjson",
			Unmask: []string{"LANG"}, MaxBackups: -1, Labels: map[string]string{"node": "n1"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestConfigSchema looks up what is easily lost on the way from a type to its
// schema.
func TestConfigSchema(t *testing.T) {
	text, err := json.Marshal(configSchema())
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Properties map[string]struct {
			Properties map[string]map[string]any
			Items      struct{ Properties map[string]map[string]any }
		}
		AdditionalProperties bool
	}
	s.AdditionalProperties = true
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	if s.AdditionalProperties {
		t.Error("unknown keys are let through")
	}
	got := s.Properties["policy"].Properties["enforcement"]["additionalProperties"]
	want := map[string]any{"type": "string", "enum": []any{"deny", "strip", "audit", "off"}}
	if diff := cmp.Diff(any(want), got); diff != "" {
		t.Errorf("enforcement: %s", diff)
	}
	if got := s.Properties["policy"].Properties["timeout"]["type"]; got != "string" {
		t.Errorf("timeout is of type %v", got)
	}
	grants := s.Properties["plugins"].Items.Properties["grants"]["items"].(map[string]any)["properties"].(map[string]any)
	if got := len(grants["field"].(map[string]any)["enum"].([]any)); got != len(engine.Fields()) {
		t.Errorf("%d fields can be granted, want %d", got, len(engine.Fields()))
	}
	if _, ok := s.Properties["version"]; !ok {
		t.Error("there is no version")
	}
}
