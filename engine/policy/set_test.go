package policy_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy"
)

// load decodes and loads a configuration. DIR in it is a directory with one policy
// of one's own, named own, that objects to every variable.
func load(t *testing.T, text string) (*policy.Set, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "own")
	module := "package nri.policies.own\n\ndeny contains {\"change\": c.id} if some c in input.changes.env\n"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "own.rego"), []byte(module), 0o644); err != nil {
		t.Fatal(err)
	}
	var cfg policy.Config
	at, err := policy.Decode("guard.yaml", []byte(strings.ReplaceAll(text, "DIR", dir)), &cfg)
	if err != nil {
		return nil, err
	}
	cfg.At = at
	return policy.Load(context.Background(), cfg)
}

func TestBadConfiguration(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown key":             {"policy:\n  profil: {}\n", `guard.yaml:2: unknown key "policy.profil"`},
		"unknown profile":         {"policy: {profile: {enforce: strict}}", `guard.yaml:1: policy.profile.enforce: there is no profile "strict"`},
		"unknown audited profile": {"policy:\n  profile:\n    audit: all", `guard.yaml:3: policy.profile.audit: there is no profile "all"`},
		"unknown enforcement":     {"policy: {enforcement: {hooks: warn}}", `policy.enforcement.hooks: enforcement "warn" is none of deny, strip, audit, off`},
		"enforcement of nothing":  {"policy:\n  enforcement:\n    hoks: deny", `guard.yaml:3: policy.enforcement.hoks: there is no policy "hoks"`},
		"unknown field":           {"plugins:\n- name: p\n  grants:\n  - {field: mounts, keys: [/a]}", `guard.yaml:4: plugins[0].grants[0]: plugin p: unknown field "mounts"`},
		"a grant that lifts all":  {"plugins: [{name: p, grants: [{field: hook}]}]", "plugin p: a grant for field hook needs path"},
		"a plugin without name":   {"plugins: [{grants: []}]", "guard.yaml:1: plugins[0]: the plugin needs a name"},
		"exemption of nothing":    {"exemptions:\n- {policy: none, namespaces: [a]}", `guard.yaml:2: exemptions[0]: there is no policy "none"`},
		"exemption of everywhere": {"exemptions: [{policy: hooks}]", "an exemption needs namespaces"},
		"a bad pattern":           {"exemptions: [{policy: hooks, namespaces: ['[']}]", `pattern "["`},
		"timeout of nothing":      {"policy: {timeout: 0s}", `policy.timeout: "0s" is no positive duration`},
		"two of one name":         {"policy: {paths: [DIR, DIR]}", "own"},
		"nothing enforced":        {"policy: {profile: {enforce: baseline}, enforcement: {" + allOff(t) + "}}", "no policy is enforced"},
		"no such path":            {"policy: {paths: [/does/not/exist]}", "/does/not/exist"},
	} {
		if _, err := load(t, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// allOff turns every policy of the library off.
func allOff(t *testing.T) string {
	t.Helper()
	set, err := policy.Load(context.Background(), policy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, p := range set.Policies() {
		list = append(list, p.Name+": off")
	}
	return strings.Join(list, ", ")
}

func TestEnforcement(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want map[string]engine.Enforcement
	}{
		"default":    {"", map[string]engine.Enforcement{"hooks": engine.Deny, "ungranted_changes": engine.Off}},
		"restricted": {"policy: {profile: {enforce: restricted}}", map[string]engine.Enforcement{"hooks": engine.Deny, "ungranted_changes": engine.Deny}},
		"audited":    {"policy: {profile: {audit: restricted}}", map[string]engine.Enforcement{"hooks": engine.Deny, "ungranted_changes": engine.Audit}},
		"privileged": {"policy: {profile: {enforce: privileged}, paths: [DIR]}", map[string]engine.Enforcement{"hooks": engine.Off, "own": engine.Deny}},
		"overridden": {"policy: {enforcement: {hooks: strip, args: off, ungranted_changes: deny}}",
			map[string]engine.Enforcement{"hooks": engine.Strip, "args": engine.Off, "ungranted_changes": engine.Deny}},
	} {
		set, err := load(t, c.text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, p := range set.Policies() {
			if want, ok := c.want[p.Name]; ok && p.Enforcement != want {
				t.Errorf("%s: %s is %v, want %v", name, p.Name, p.Enforcement, want)
			}
			delete(c.want, p.Name)
		}
		if len(c.want) > 0 {
			t.Errorf("%s: no %v", name, c.want)
		}
	}
}

// The revision tells sets apart that decide differently, and only those.
func TestRevision(t *testing.T) {
	texts := []string{
		"", "policy: {profile: {enforce: restricted}}", "policy: {enforcement: {hooks: audit}}",
		"exemptions: [{policy: hooks, namespaces: [a]}]", "plugins: [{name: p, grants: [{field: env, keys: [A]}]}]",
		"policy: {paths: [DIR]}",
	}
	seen := map[string]string{}
	for _, text := range texts {
		set, err := load(t, text)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[set.Revision()]; ok {
			t.Errorf("%q and %q have one revision", text, other)
		}
		seen[set.Revision()] = text
		again, err := load(t, text)
		if err != nil || again.Revision() != set.Revision() {
			t.Errorf("%q has revisions %s and %s: %v", text, set.Revision(), again.Revision(), err)
		}
	}
}

// A set that fails to load leaves the engine with what it has.
func TestReload(t *testing.T) {
	set, err := load(t, "policy: {paths: [DIR], enforcement: {own: strip}}")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(set.Strips(), " "); got != "own" {
		t.Errorf("strips: %s", got)
	}
	guard := engine.New(set.Rules())
	review := &engine.Review{Changes: []*engine.Change{{ID: "env:A", Op: engine.Add, Field: engine.Env, Key: "A", Value: "1"}}}
	d := guard.Decide(context.Background(), review)
	if d.Allowed || d.Revision != set.Revision() || len(d.Violations) != 1 || d.Violations[0].Policy != "own" {
		t.Errorf("decision: %+v", d)
	}
	if next, err := load(t, "policy: {paths: [/does/not/exist]}"); err == nil {
		guard.Swap(next.Rules())
	}
	if again := guard.Decide(context.Background(), review); again.Revision != d.Revision {
		t.Errorf("revision %s, was %s", again.Revision, d.Revision)
	}
}
