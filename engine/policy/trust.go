package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"

	"github.com/nri-guard/nri-guard/engine"
)

// grants converts and checks the grants of all plugins.
func (c *Config) grants() (grants []engine.Grant, errs []error) {
	for i, p := range c.Plugins {
		at := fmt.Sprintf("plugins[%d]", i)
		if err := p.check(); err != nil {
			errs = append(errs, c.wrong(at, err))
		}
		for j, g := range p.Grants {
			grant := g.engine(p)
			if err := grant.Check(); err != nil {
				errs = append(errs, c.wrong(fmt.Sprintf("%s.grants[%d]", at, j), fmt.Errorf("plugin %s: %w", p.Name, err)))
			}
			grants = append(grants, grant)
		}
	}
	return grants, errs
}

// everybody is the name of an entry for all plugins that have none of their own.
const everybody = "*"

// check says what is wrong with a plugin besides its grants. An identity that can
// match nobody, or that demands nothing, was not meant.
func (p *Plugin) check() error {
	if p.Name == "" {
		return errors.New("the plugin needs a name")
	}
	if p.Name == everybody && len(p.Grants) > 0 {
		return fmt.Errorf("plugin %s: nobody in particular can be granted anything; name the plugin", p.Name)
	}
	switch id := p.Identity; {
	case id == nil:
		return nil
	case *id == Identity{}:
		return fmt.Errorf("plugin %s: the identity demands nothing; leave it out or name exe, sha256 or uid", p.Name)
	case id.Exe != "" && (!path.IsAbs(id.Exe) || path.Clean(id.Exe) != id.Exe):
		return fmt.Errorf("plugin %s: exe %q must be absolute, with neither . nor .. in it", p.Name, id.Exe)
	case id.SHA256 != "" && !isSHA256(id.SHA256):
		return fmt.Errorf("plugin %s: sha256 %q must be 64 hexadecimal digits", p.Name, id.SHA256)
	}
	return nil
}

func isSHA256(s string) bool {
	bytes, err := hex.DecodeString(s)
	return err == nil && len(bytes) == sha256.Size
}

func (g *Grant) engine(p Plugin) engine.Grant {
	e := engine.Grant{
		Plugin: p.Name, Namespaces: p.Namespaces,
		Field: g.Field, Ops: g.Ops, Keys: g.Keys, Values: g.Values, Min: g.Min, Max: g.Max,
		Sources: g.Sources, ReadOnly: g.ReadOnly, Types: g.Types, Propagation: g.Propagation,
		Path: g.Path, Args: g.Args, Env: g.Env, HostPaths: g.HostPaths,
	}
	if id := p.Identity; id != nil {
		e.Identity = &engine.IdentityMatch{Exe: id.Exe, SHA256: id.SHA256, UID: id.UID}
	}
	return e
}

// exemptions converts and checks the exemptions; known are the names of policies.
func (c *Config) exemptions(known map[string]engine.Enforcement) (list []engine.Exemption, errs []error) {
	for i, e := range c.Exemptions {
		at := fmt.Sprintf("exemptions[%d]", i)
		if e.Policy == "" {
			errs = append(errs, c.wrong(at, errors.New("policy is missing: the name of the policy that is lifted")))
		} else if _, ok := known[e.Policy]; !ok {
			errs = append(errs, c.wrong(at, fmt.Errorf("there is no policy %q", e.Policy)))
		}
		if len(e.Namespaces) == 0 {
			errs = append(errs, c.wrong(at, errors.New("an exemption needs namespaces; to take a policy out of force everywhere, set its enforcement to off")))
		}
		for _, n := range e.Namespaces {
			if _, err := path.Match(n, ""); err != nil {
				errs = append(errs, c.wrong(at, fmt.Errorf("pattern %q: %w", n, err)))
			}
		}
		list = append(list, engine.Exemption{Policy: e.Policy, Namespaces: e.Namespaces})
	}
	return list, errs
}
