package doctor

import (
	"slices"
	"strings"
)

// bounded follows whether CapabilityBoundingSet= leaves a unit a capability.
type bounded struct {
	name string
	left bool
	said bool   // a set was given
	at   string // where it was taken away
}

// take reads one more assignment, as in systemd.exec(5): an empty one is the empty set, sets
// add up, and what follows a tilde is taken out.
func (b *bounded) take(s setting) {
	value, _ := s.value.(string)
	taken, inverse := strings.CutPrefix(value, "~")
	named := slices.Contains(strings.Fields(taken), b.name)
	before := b.left
	switch {
	case value == "":
		b.left = false
	case inverse:
		b.left = taken == "" || b.left && !named
	default:
		b.left = named || b.said && b.left
	}
	b.said = b.said || !inverse
	if before && !b.left {
		b.at = s.at
	}
}

// found is the finding that the capability is not left.
func (b *bounded) found() []Finding {
	if b.left {
		return nil
	}
	return one(Finding{
		About: "guard", Severity: Weak, Summary: "the systemd unit takes " + b.name + " from the guard",
		Meaning:  "The guard cannot tell which executable a plugin runs: identities never match.",
		Evidence: []string{b.at},
		Fix: &Fix{Do: "Give it back; then systemctl daemon-reload and restart", File: viewFile(),
			Paste: "[Service]\nCapabilityBoundingSet=" + b.name},
	})
}
