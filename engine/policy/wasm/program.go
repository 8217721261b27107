package wasm

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/nri-guard/nri-guard/engine"
)

// Program is a list of policies, ready to be asked. It does not change, and is safe
// for concurrent use.
type Program struct {
	asked  []asked // by name
	digest [sha256.Size]byte
	wires  *sync.Pool // of *wire
}

type asked struct {
	*module
	enforcement engine.Enforcement
}

// Policy describes a policy.
type Policy struct {
	Name string
	File string
	ABI  string // [NRI] or [WASI]
}

// Load reads, checks and compiles modules, and sets up the first instance of each.
// The error joins a [*ConfigError] for each thing that is wrong. All policies are
// enforced as [engine.Deny]; see [Program.Enforced].
func Load(ctx context.Context, configs []Config, o Options) (*Program, error) {
	layout := requestLayout()
	p := &Program{wires: &sync.Pool{New: func() any { return &wire{request: layout} }}}
	if len(configs) == 0 {
		return p, nil
	}
	configs = slices.Clone(configs)
	if err := check(configs); err != nil {
		return nil, err
	}
	box, err := newSandbox(ctx, o)
	if err != nil {
		return nil, err
	}
	ctx = bare{ctx}
	var errs []error
	for i, c := range configs {
		m, err := newModule(ctx, box, c)
		if err != nil {
			errs = append(errs, &ConfigError{Index: i, Where: c.Where, Err: err})
			continue
		}
		p.asked = append(p.asked, asked{module: m})
	}
	if err := box.compiled(); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	slices.SortFunc(p.asked, func(a, b asked) int { return cmp.Compare(a.config.Name, b.config.Name) })
	p.digest, err = digest(p.asked)
	return p, err
}

// check fills in defaults and says what is wrong with the configurations.
func check(configs []Config) error {
	var errs []error
	taken := map[string]bool{}
	for i := range configs {
		c := &configs[i]
		*c = c.filled()
		key, err := c.check()
		if err == nil && taken[c.Name] {
			key, err = "name", fmt.Errorf("there is another module of the name %q", c.Name)
		}
		taken[c.Name] = true
		if err != nil {
			errs = append(errs, &ConfigError{Index: i, Key: key, Where: c.Where, Err: err})
		}
	}
	return errors.Join(errs...)
}

// digest stands for the modules and their bounds, wherever they lie.
func digest(list []asked) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	for _, a := range list {
		c := a.config
		c.Path, c.Where, c.SHA256 = "", "", ""
		text, err := json.Marshal(c)
		if err != nil {
			return sum, fmt.Errorf("digest of the configuration: %w", err)
		}
		h.Write(a.digest[:])
		h.Write(text)
	}
	h.Sum(sum[:0])
	return sum, nil
}

// Digest stands for the modules and their bounds: the same give the same digest.
func (p *Program) Digest() [sha256.Size]byte { return p.digest }

// Enforced returns a program that shares the modules of this one and enforces them
// as given, by name; a policy that is not named is denied by, and one that is
// [engine.Off] is not asked.
func (p *Program) Enforced(enforcement map[string]engine.Enforcement) *Program {
	other := &Program{digest: p.digest, wires: p.wires}
	for _, a := range p.asked {
		if a.enforcement = enforcement[a.config.Name]; a.enforcement != engine.Off {
			other.asked = append(other.asked, a)
		}
	}
	return other
}

// Policies describes the policies, sorted by name.
func (p *Program) Policies() []Policy {
	list := make([]Policy, len(p.asked))
	for i, a := range p.asked {
		list[i] = Policy{Name: a.config.Name, File: a.config.Path, ABI: a.abi.String()}
	}
	return list
}
