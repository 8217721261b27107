package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// maxConflicts bounds how many values the error about a conflict lists.
const maxConflicts = 10

// listing in the place of slotOne has rules list their values.
var listing = &ast.Term{Value: ast.InternedNullValue}

// conflicts lists the values that rules disagree in.
type conflicts struct {
	values []conflictValue
	more   bool
}

type conflictValue struct {
	location *ast.Location
	value    *ast.Term
}

// add notes a value. One of a rule's is enough, unless it is the first.
func (c *conflicts) add(source *ast.Rule, t *ast.Term) signal {
	switch {
	case len(c.values) > 0 && equal(c.values[0].value, t):
		return more
	case len(c.values) == maxConflicts:
		c.more = true
		return done
	}
	c.values = append(c.values, conflictValue{source.Location, t})
	if len(c.values) == 1 {
		return more
	}
	return done
}

// list evaluates rules that disagree once more, to say in what.
func (r *ruleset) list(run *single, candidates *ast.IndexResult) {
	m := run.m
	var err *topdown.Error
	own := func(source *ast.Rule) bool { return source.Location == err.Location }
	if !errors.As(m.err, &err) || err.Code != topdown.ConflictErr || !slices.ContainsFunc(candidates.Rules, func(source *ast.Rule) bool {
		return own(source) || slices.ContainsFunc(candidates.Else[source], own)
	}) {
		return
	}
	outer := m.listing
	m.err, m.listing = nil, &conflicts{}
	defer func() { m.err, m.listing = err, outer }()
	again := &single{ruleset: r, m: m, variant: run.variant, params: run.params, one: listing}
	for _, source := range candidates.Rules {
		produced, sig := again.try(source)
		for _, other := range candidates.Else[source] {
			if produced || sig == halt || m.listing.more {
				break
			}
			produced, sig = again.try(other)
		}
		if sig == halt || m.listing.more {
			break
		}
	}
	if len(m.listing.values) >= 2 {
		cpy := *err
		cpy.Message += m.listing.String()
		err = &cpy
	}
}

// String lists the values as they stand in the source.
func (c *conflicts) String() string {
	slices.SortStableFunc(c.values, func(a, b conflictValue) int { return a.location.Compare(b.location) })
	var text strings.Builder
	text.WriteByte(':')
	for _, v := range c.values {
		fmt.Fprintf(&text, "\n  %s at %s:%d", short(v.value.String()), v.location.File, v.location.Row)
	}
	if c.more {
		text.WriteString("\n  ...")
	}
	return text.String()
}

// short cuts a long value.
func short(text string) string {
	const most = 100
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}
