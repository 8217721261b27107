// Package policy holds a set of policies: which are asked, what follows from their
// objections, and who is exempt.
//
// [Load] reads, checks and compiles everything; what it returns does not change.
// To reload is to load anew and swap: an error leaves what runs as it is.
//
//	set, err := policy.Load(ctx, cfg)
//	guard.Swap(set.Rules())
package policy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy/rego"
	"github.com/nri-guard/nri-guard/policies"
)

// Set is a set of policies, loaded from the library and from paths. It is safe for
// concurrent use.
type Set struct {
	rego     *rego.Judge
	program  *rego.Program
	enforced map[string]engine.Enforcement
	rules    engine.Rules
	revision string
}

// Load loads the library and what the configuration names. The error holds all
// that is wrong, a line each, with file and line where there is one.
func Load(ctx context.Context, cfg Config) (*Set, error) {
	if err := cfg.checkProfile(); err != nil {
		return nil, err
	}
	program, err := rego.Load(ctx, cfg.Sources())
	if err != nil {
		return nil, err
	}
	s := &Set{program: program}
	enforced, errs := cfg.enforced(program.Policies())
	s.enforced = enforced
	grants, more := cfg.grants()
	errs = append(errs, more...)
	exemptions, more := cfg.exemptions(s.enforced)
	errs = append(errs, more...)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if s.rego, err = program.Judge(ctx, s.enforced); err != nil {
		return nil, err
	}
	s.rules = engine.Rules{Policies: s, Grants: grants, Exemptions: exemptions, Timeout: time.Duration(cfg.Policy.Timeout)}
	s.revision, err = revision(program, s.enforced, grants, exemptions)
	return s, err
}

// Sources are what the configuration has Rego loaded from.
func (c *Config) Sources() rego.Sources {
	profile := map[string]any{
		"enforce": cmp.Or(c.Policy.Profile.Enforce, Baseline),
		"audit":   cmp.Or(c.Policy.Profile.Audit, Privileged),
	}
	return rego.Sources{Library: policies.FS, Paths: c.Policy.Paths, Config: map[string]any{"profile": profile}}
}

func (c *Config) checkProfile() error {
	var errs []error
	for _, p := range []struct{ key, name string }{
		{"policy.profile.enforce", c.Policy.Profile.Enforce},
		{"policy.profile.audit", c.Policy.Profile.Audit},
	} {
		if p.name != "" && !slices.Contains(Profiles(), p.name) {
			errs = append(errs, c.wrong(p.key, fmt.Errorf("there is no profile %q; there are %v", p.name, Profiles())))
		}
	}
	return errors.Join(errs...)
}

// enforced says how each policy is enforced.
func (c *Config) enforced(all []rego.Policy) (map[string]engine.Enforcement, []error) {
	enforce, audit := cmp.Or(c.Policy.Profile.Enforce, Baseline), c.Policy.Profile.Audit
	m := make(map[string]engine.Enforcement, len(all))
	for _, p := range all {
		switch {
		case !p.Library || slices.Contains(p.Profiles, enforce):
			m[p.Name] = p.Enforcement
		case slices.Contains(p.Profiles, audit):
			m[p.Name] = engine.Audit
		default:
			m[p.Name] = engine.Off
		}
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.Policy.Enforcement)) {
		if _, ok := m[name]; !ok {
			errs = append(errs, c.wrong("policy.enforcement."+name, fmt.Errorf("there is no policy %q", name)))
			continue
		}
		m[name] = c.Policy.Enforcement[name]
	}
	if enforce != Privileged && !slices.ContainsFunc(slices.Collect(maps.Values(m)), enforces) {
		errs = append(errs, c.wrong("policy", fmt.Errorf("no policy is enforced; if that is meant, set the profile to %s", Privileged)))
	}
	return m, errs
}

func enforces(e engine.Enforcement) bool { return e == engine.Deny || e == engine.Strip }

// Judge implements [engine.Policies].
func (s *Set) Judge(ctx context.Context, r *engine.Review) engine.Verdict { return s.rego.Judge(ctx, r) }

// Revision implements [engine.Policies]: 12 hexadecimal digits that stand for the
// policies, their enforcement, the grants and the exemptions.
func (s *Set) Revision() string { return s.revision }

// Rules are what an engine decides by with this set. Recorder and Unmask are the
// caller's to add.
func (s *Set) Rules() engine.Rules { return s.rules }

// Policies describes all policies that were loaded, by name, with the enforcement
// that is in force.
func (s *Set) Policies() []rego.Policy {
	list := s.program.Policies()
	for i := range list {
		list[i].Enforcement = s.enforced[list[i].Name]
	}
	return list
}

// Strips names the policies that are enforced by stripping: where one may only
// accept or reject they deny, which is worth telling at load.
func (s *Set) Strips() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.enforced)) {
		if s.enforced[name] == engine.Strip {
			names = append(names, name)
		}
	}
	return names
}

// revision digests everything that a decision depends on besides the review.
func revision(p *rego.Program, parts ...any) (string, error) {
	h := sha256.New()
	digest := p.Digest()
	h.Write(digest[:])
	for _, part := range parts {
		b, err := json.Marshal(part) // maps in order of their keys
		if err != nil {
			return "", fmt.Errorf("digest of the configuration: %w", err)
		}
		h.Write(b)
		h.Write([]byte{0})
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6]), nil
}
