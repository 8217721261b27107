package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy/wasm"
)

func (c *Config) checkProfile() (errs []error) {
	for _, p := range []struct{ key, name string }{
		{"policy.profile.enforce", c.Policy.Profile.Enforce},
		{"policy.profile.audit", c.Policy.Profile.Audit},
	} {
		if p.name != "" && !slices.Contains(Profiles(), p.name) {
			errs = append(errs, c.wrong(p.key, fmt.Errorf("there is no profile %q; there are %v", p.name, Profiles())))
		}
	}
	return errs
}

// enforced says how each policy is enforced: those of the library as the profiles
// have it, those of one's own as they say themselves, and any as the configuration
// says by name.
func (c *Config) enforced(all []Policy) (map[string]engine.Enforcement, []error) {
	enforced := make(map[string]engine.Enforcement, len(all))
	for _, p := range all {
		enforced[p.Name] = c.byProfile(p)
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.Policy.Enforcement)) {
		if _, ok := enforced[name]; !ok {
			errs = append(errs, c.wrong("policy.enforcement."+name, fmt.Errorf("there is no policy %q", name)))
			continue
		}
		enforced[name] = c.Policy.Enforcement[name]
	}
	for _, p := range all {
		if p.ABI == wasm.NRI && enforced[p.Name] == engine.Strip {
			errs = append(errs, c.wrong("policy.enforcement."+p.Name, fmt.Errorf("strip is impossible: %s objects to a request as a whole, "+
				"as modules of NRI's convention do, and names no change; set deny or audit, or make the module a WASI command", p.Name)))
		}
	}
	denies := slices.ContainsFunc(slices.Collect(maps.Values(enforced)), func(e engine.Enforcement) bool {
		return e == engine.Deny || e == engine.Strip
	})
	if !denies && c.Policy.Profile.Enforce != Privileged && len(errs)+len(c.checkProfile()) == 0 {
		errs = append(errs, c.wrong("policy", fmt.Errorf("no policy is enforced; if that is meant, set the profile to %s", Privileged)))
	}
	return enforced, errs
}

func (c *Config) byProfile(p Policy) engine.Enforcement {
	switch {
	case !p.Library || slices.Contains(p.Profiles, cmp.Or(c.Policy.Profile.Enforce, Baseline)):
		return p.Enforcement
	case slices.Contains(p.Profiles, c.Policy.Profile.Audit):
		return engine.Audit
	}
	return engine.Off
}
