package rego

import (
	"bytes"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy/internal/strict"
)

// metadata is what a METADATA block may say. OPA ignores keys that it does not
// know; here a key that is not heard would be a policy that is not enforced as it
// says.
type metadata struct {
	Scope            string   `yaml:"scope"`
	Title            string   `yaml:"title"`
	Description      string   `yaml:"description"`
	Authors          []any    `yaml:"authors"`
	Organizations    []string `yaml:"organizations"`
	RelatedResources []any    `yaml:"related_resources"`
	Custom           *custom  `yaml:"custom"`
}

// custom is what makes a package with a deny rule the policy that it is.
type custom struct {
	Enforcement engine.Enforcement `yaml:"enforcement"`
	Profiles    []string           `yaml:"profiles"`
}

// readMetadata reads every METADATA block of a module and returns the one of its
// package. Only that of a policy's package can have a custom part.
func readMetadata(m *module, p *problems) metadata {
	var pkg metadata
	checkUnheard(m, p)
	for _, a := range m.Annotations {
		meta, ok := decodeMetadata(a, p)
		if !ok {
			continue
		}
		_, isPolicy := m.policy()
		switch {
		case meta.Custom == nil:
		case a.Scope != "package":
			p.at(a.Location, "custom metadata must be of package scope, above the package line; this is of scope %s", a.Scope)
		case !isPolicy || m.test():
			p.at(a.Location, "custom metadata means nothing here: package %s is no policy", m.pkg())
		}
		if a.Scope == "package" {
			pkg = meta
		}
	}
	return pkg
}

// checkUnheard reports comments that were meant to begin a METADATA block and that
// OPA takes for mere comments.
func checkUnheard(m *module, p *problems) {
	heard := map[int]bool{}
	for _, a := range m.Annotations {
		heard[a.Location.Row] = true
	}
	for _, c := range m.Comments {
		text := strings.Trim(string(c.Text), "# \t")
		if strings.EqualFold(text, "METADATA") && !heard[c.Location.Row] {
			p.at(c.Location, `this METADATA block is not heard: it must begin with "# METADATA", not indented, right above what it is about`)
		}
	}
}

func decodeMetadata(a *ast.Annotations, p *problems) (metadata, bool) {
	// The text is the block's comment: "# METADATA" and then YAML behind "# ".
	var text []byte
	for line := range bytes.Lines(a.Location.Text) {
		text = append(text, bytes.TrimPrefix(bytes.TrimPrefix(line, []byte("#")), []byte(" "))...)
	}
	_, text, _ = bytes.Cut(text, []byte("\n"))
	var meta metadata
	_, errs := strict.Decode(text, &meta)
	for _, e := range errs {
		p.add(a.Location.File, a.Location.Row+e.Line, "metadata: %s", e.Message)
	}
	return meta, len(errs) == 0
}
