package policy_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
		"grants for everybody":    {"plugins: [{name: '*', grants: [{field: env, keys: [A]}]}]", "guard.yaml:1: plugins[0]: plugin *: nobody in particular can be granted anything; name the plugin"},
		"a plugin without name":   {"plugins: [{grants: []}]", "guard.yaml:1: plugins[0]: the plugin needs a name"},
		"an identity of nobody":   {"plugins: [{name: p, identity: {}}]", "plugin p: the identity demands nothing"},
		"a relative executable":   {"plugins: [{name: p, identity: {exe: bin/p}}]", `plugin p: exe "bin/p" must be absolute`},
		"half a digest":           {"plugins: [{name: p, identity: {sha256: abcd}}]", `plugin p: sha256 "abcd" must be 64 hexadecimal digits`},
		"exemption of no policy":  {"exemptions:\n- {namespaces: [a]}", "guard.yaml:2: exemptions[0]: policy is missing: the name of the policy that is lifted"},
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

// An own policy that strips is told of, and decides.
func TestStrips(t *testing.T) {
	set, err := load(t, "policy: {paths: [DIR], enforcement: {own: strip}}")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(set.Strips(), " "); got != "own" {
		t.Errorf("strips: %s", got)
	}
	review := &engine.Review{Changes: []*engine.Change{{ID: "env:A", Op: engine.Add, Field: engine.Env, Key: "A", Value: "1"}}}
	d := engine.New(set.Rules()).Decide(context.Background(), review)
	if d.Allowed || d.Revision != set.Revision() || len(d.Violations) != 1 || d.Violations[0].Policy != "own" {
		t.Errorf("decision: %+v", d)
	}
}

// What is wrong is told all at once: policies, profiles and grants.
func TestAllErrors(t *testing.T) {
	_, err := load(t, "policy:\n  profile: {audit: all}\n  paths: [DIR, /does/not/exist]\nplugins:\n- {name: p, grants: [{field: x}]}\n- {grants: []}\n")
	if err == nil {
		t.Fatal("it loads")
	}
	for _, want := range []string{`guard.yaml:2: policy.profile.audit: there is no profile "all"`,
		"/does/not/exist: stat /does/not/exist", `guard.yaml:5: plugins[0].grants[0]: plugin p: unknown field "x"`,
		"guard.yaml:6: plugins[1]: the plugin needs a name"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in:\n%v", want, err)
		}
	}
}

// The library's policies belong to profiles that exist, and what baseline denies
// restricted denies too.
func TestLibraryProfiles(t *testing.T) {
	set, err := policy.Load(t.Context(), policy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range set.Policies() {
		if len(p.Profiles) == 0 || p.Title == "" || p.Description == "" {
			t.Errorf("%s: profiles %v, title %q, description %q", p.Name, p.Profiles, p.Title, p.Description)
		}
		for _, profile := range p.Profiles {
			if profile != policy.Baseline && profile != policy.Restricted {
				t.Errorf("%s belongs to profile %q", p.Name, profile)
			}
		}
		if slices.Contains(p.Profiles, policy.Baseline) && !slices.Contains(p.Profiles, policy.Restricted) {
			t.Errorf("%s is in baseline and not in restricted", p.Name)
		}
	}
}

// keeper is a recorder.
type keeper struct{ kept atomic.Int64 }

func (k *keeper) Record(context.Context, *engine.Review, *engine.Decision) error {
	k.kept.Add(1)
	return nil
}

// Decisions go on while sets are swapped, each by one set as a whole; what is not
// the configuration's stays.
func TestReloadWhileDeciding(t *testing.T) {
	config := func(enforcement engine.Enforcement) policy.Config {
		return policy.Config{Policy: policy.Policies{
			Enforcement: map[string]engine.Enforcement{"environment": enforcement},
			Timeout:     policy.Duration(time.Minute), // loading takes all processors
		}}
	}
	set, err := policy.Load(t.Context(), config(engine.Deny))
	if err != nil {
		t.Fatal(err)
	}
	log := &keeper{}
	rules := set.Rules()
	rules.Recorder, rules.Unmask = log, []string{"A"}
	guard := engine.New(rules)
	denying := map[string]bool{set.Revision(): true}

	stop := make(chan struct{})
	type seen struct {
		revision string
		allowed  bool
	}
	var wg sync.WaitGroup
	decisions := make([]map[seen]int, 4)
	for i := range decisions {
		decisions[i] = map[seen]int{}
		wg.Go(func() {
			for {
				r := &engine.Review{Plugins: []engine.Plugin{{Name: "p", Index: "00"}},
					Changes: []*engine.Change{{ID: "env:LD_PRELOAD", Op: engine.Add, Field: engine.Env, Key: "LD_PRELOAD", Value: "/x.so"}}}
				d := guard.Decide(context.Background(), r)
				decisions[i][seen{d.Revision, d.Allowed}]++
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for i := range 6 {
		enforcement := []engine.Enforcement{engine.Audit, engine.Deny}[i%2]
		next, err := policy.Reload(t.Context(), guard, config(enforcement))
		if err != nil {
			t.Fatal(err)
		}
		denying[next.Revision()] = enforcement == engine.Deny
		if _, err := policy.Reload(t.Context(), guard, policy.Config{Policy: policy.Policies{Paths: []string{"/does/not/exist"}}}); err == nil {
			t.Error("a bad configuration was loaded")
		}
		if got := guard.Rules(); got.Policies.Revision() != next.Revision() || got.Recorder != log || len(got.Unmask) != 1 {
			t.Errorf("rules: %+v", got)
		}
	}
	close(stop)
	wg.Wait()
	total := 0
	for _, m := range decisions {
		for s, n := range m {
			total += n
			if denies, known := denying[s.revision]; !known || denies == s.allowed {
				t.Errorf("%d decisions of revision %q: allowed %v", n, s.revision, s.allowed)
			}
		}
	}
	if int64(total) != log.kept.Load() {
		t.Errorf("%d decisions, %d recorded", total, log.kept.Load())
	}
}

// Alone asks one policy and nothing else, in force or not.
func TestAlone(t *testing.T) {
	set, err := load(t, "policy: {paths: [DIR], enforcement: {own: off}}")
	if err != nil {
		t.Fatal(err)
	}
	r := &engine.Review{Changes: []*engine.Change{{ID: "env:LD_PRELOAD", Op: engine.Add, Field: engine.Env, Key: "LD_PRELOAD", Value: "1"}}}
	if v := set.Judge(t.Context(), r); len(v.Violations) != 1 || v.Violations[0].Policy != "environment" {
		t.Errorf("all: %+v", v)
	}
	own, err := set.Alone("own")
	if err != nil {
		t.Fatal(err)
	}
	if v := own.Judge(t.Context(), r); len(v.Violations) != 1 || v.Violations[0].Policy != "own" {
		t.Errorf("alone: %+v", v)
	}
	if _, err := set.Alone("none"); err == nil {
		t.Error("there is no such policy")
	}
}

// Policies read the profile at data.nri.config.
func TestConfigDocument(t *testing.T) {
	file := filepath.Join(t.TempDir(), "own.rego")
	module := "package nri.policies.own\n\nimport data.nri.config\n\ndeny contains sprintf(\"%s %s\", [config.profile.enforce, config.profile.audit]) if true\n"
	if err := os.WriteFile(file, []byte(module), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := policy.Load(t.Context(), policy.Config{Policy: policy.Policies{Paths: []string{file}, Profile: policy.Profile{Audit: policy.Restricted}}})
	if err != nil {
		t.Fatal(err)
	}
	if v := set.Judge(t.Context(), &engine.Review{}); len(v.Violations) != 1 || v.Violations[0].Message != "baseline restricted" {
		t.Errorf("%+v", v)
	}
}
