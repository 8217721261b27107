// Package policy holds a set of policies: which are asked, what follows from their
// objections, and who is exempt.
//
// [Load] reads, checks and compiles everything; what it returns does not change.
// To reload is to load anew and to swap, which [Reload] does: an error leaves what
// runs as it is.
//
//	set, err := policy.Load(ctx, cfg)
//	guard := engine.New(set.Rules())
//	...
//	set, err = policy.Reload(ctx, guard, cfg)
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
	"github.com/nri-guard/nri-guard/engine/policy/wasm"
	"github.com/nri-guard/nri-guard/policies"
)

// Set is a set of policies, loaded from the library and from paths. It does not
// change, and is safe for concurrent use.
type Set struct {
	judges   []Judge
	program  *rego.Program
	modules  *wasm.Program
	policies []Policy // by name
	enforced map[string]engine.Enforcement
	rules    engine.Rules
	revision string
}

// Policy describes a policy of a set.
type Policy struct {
	rego.Policy
	// ABI is the convention by which a WebAssembly policy is asked, nri or wasi; ""
	// for a policy in Rego.
	ABI string `json:"abi,omitempty"`
}

// Judge asks some of a set's policies. Their names differ from those of every other
// judge of the set.
type Judge interface {
	// Judge is as in [engine.Policies].
	Judge(ctx context.Context, r *engine.Review) engine.Verdict
}

// Load loads the library and what the configuration names. The error holds all
// that is wrong, a line each, with file and line where there is one.
func Load(ctx context.Context, cfg Config) (*Set, error) {
	grants, errs := cfg.grants()
	errs = append(errs, cfg.checkProfile()...)
	program, err := rego.Load(ctx, cfg.Sources())
	if err != nil {
		errs = append(errs, err)
	}
	modules, more := cfg.modules(ctx, program)
	if errs = append(errs, more...); program == nil || modules == nil {
		return nil, errors.Join(errs...)
	}
	s := &Set{program: program, modules: modules, policies: describe(program, modules)}
	s.enforced, more = cfg.enforced(s.policies)
	errs = append(errs, more...)
	exemptions, more := cfg.exemptions(s.enforced)
	if errs = append(errs, more...); len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if s.judges, err = s.judgesOf(s.enforced); err != nil {
		return nil, err
	}
	s.rules = engine.Rules{Policies: s, Grants: grants, Exemptions: exemptions, Timeout: time.Duration(cfg.Policy.Timeout)}
	s.revision, err = revision(program.Digest(), modules.Digest(), s.enforced, grants, exemptions)
	return s, err
}

// judgesOf returns who asks the policies with these enforcements.
func (s *Set) judgesOf(enforced map[string]engine.Enforcement) ([]Judge, error) {
	own := map[string]engine.Enforcement{}
	for _, p := range s.program.Policies() {
		own[p.Name] = enforced[p.Name]
	}
	asked, err := s.program.Judge(own)
	if err != nil {
		return nil, err
	}
	if len(s.modules.Policies()) == 0 {
		return []Judge{asked}, nil
	}
	return []Judge{asked, s.modules.Enforced(enforced)}, nil
}

// Reload loads a set and has the engine decide by it from the next decision on.
// What the caller added to the engine's rules (where decisions are recorded, what is
// unmasked) stays. On an error the engine goes on as before.
func Reload(ctx context.Context, e *engine.Engine, cfg Config) (*Set, error) {
	s, err := Load(ctx, cfg)
	if err != nil {
		return nil, err
	}
	rules, before := s.Rules(), e.Rules()
	rules.Recorder, rules.RecordBestEffort, rules.Unmask = before.Recorder, before.RecordBestEffort, before.Unmask
	e.Swap(rules)
	return s, nil
}

// Sources are what the configuration has Rego loaded from.
func (c *Config) Sources() rego.Sources {
	profile := map[string]any{
		"enforce": cmp.Or(c.Policy.Profile.Enforce, Baseline),
		"audit":   cmp.Or(c.Policy.Profile.Audit, Privileged),
	}
	return rego.Sources{Library: policies.FS, Paths: c.Policy.Paths, Config: map[string]any{"profile": profile}}
}

// Judge implements [engine.Policies].
func (s *Set) Judge(ctx context.Context, r *engine.Review) engine.Verdict {
	return together(s.judges).Judge(ctx, r)
}

// together are judges that are asked one after the other.
type together []Judge

// Judge implements [Judge].
func (list together) Judge(ctx context.Context, r *engine.Review) engine.Verdict {
	var all engine.Verdict
	for _, j := range list {
		v := j.Judge(ctx, r)
		all.Violations = append(all.Violations, v.Violations...)
		all.Warnings = append(all.Warnings, v.Warnings...)
		all.Failures = append(all.Failures, v.Failures...)
		all.Costs = append(all.Costs, v.Costs...)
	}
	return all
}

// Revision implements [engine.Policies]: 12 hexadecimal digits that stand for the
// policies, their enforcement, the grants and the exemptions.
func (s *Set) Revision() string { return s.revision }

// Rules are what an engine decides by with this set. Recorder and Unmask are the
// caller's to add.
func (s *Set) Rules() engine.Rules { return s.rules }

// Policies describes all policies that were loaded, by name, with the enforcement
// that is in force.
func (s *Set) Policies() []Policy {
	list := slices.Clone(s.policies)
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

// Alone returns a judge that asks one of the set's policies only, whether it is in
// force or not, to measure what it costs.
func (s *Set) Alone(name string) (Judge, error) {
	if _, ok := s.enforced[name]; !ok {
		return nil, fmt.Errorf("there is no policy %q", name)
	}
	enforcement := make(map[string]engine.Enforcement, len(s.enforced))
	for other := range s.enforced {
		enforcement[other] = engine.Off
	}
	enforcement[name] = engine.Deny
	judges, err := s.judgesOf(enforcement)
	return together(judges), err
}

// revision digests everything that a decision depends on besides the review.
func revision(parts ...any) (string, error) {
	h := sha256.New()
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
