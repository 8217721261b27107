package nri

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nri-guard/nri-guard/engine"
)

const (
	// creationKept is how long what was approved for a container is kept: a creation
	// takes NRI's request timeout for each plugin at most.
	creationKept = time.Minute
	// creationsKept is for how many containers at a time.
	creationsKept = 1024
	// departedKept is for how long a plugin that has left counts as connected, until
	// the next creation is explained. NRI creates one container at a time and lists
	// those it has consulted: one may have left in the middle of that one, and in the
	// middle of no other.
	departedKept = 10 * time.Second
)

// Ledger remembers which plugins are connected through a proxy, and what they were
// let have of the containers that are being created. A validator holds the merged
// adjustment against it: what nobody was allowed came past the proxy, whatever the
// names of the plugins say, and what somebody was allowed is known to be theirs. It
// is safe for concurrent use.
type Ledger struct {
	mu        sync.Mutex
	builtin   []engine.Plugin
	members   map[*Member]time.Time // when they left, zero while they are connected
	creations map[string]*creation  // by the id of the container
	now       func() time.Time
}

// Member is a plugin that is connected through the proxy.
type Member struct {
	ledger *Ledger
	plugin engine.Plugin
}

// creation is what plugins were let have of one container.
type creation struct {
	at time.Time
	by map[*Member][]mark
}

// NewLedger returns a ledger. The plugins are those that are part of the runtime and
// consulted beside the proxy's, one for each entry. NRI's default validator need
// not be named.
func NewLedger(builtin ...engine.Plugin) *Ledger {
	return &Ledger{
		builtin:   append(slices.Clone(builtin), engine.Plugin{Index: "00", Name: DefaultValidator}),
		members:   map[*Member]time.Time{},
		creations: map[string]*creation{},
		now:       time.Now,
	}
}

// Join takes in a plugin that the runtime will consult from now on.
func (l *Ledger) Join(p engine.Plugin) *Member {
	m := &Member{ledger: l, plugin: p}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.members[m] = time.Time{}
	return m
}

// Leave lets the plugin go, which the runtime knows: it is consulted about no container
// any more but the one that is being created. What it was let have stands.
func (m *Member) Leave() {
	l := m.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if left, ok := l.members[m]; ok && left.IsZero() {
		l.members[m] = l.now()
	}
	l.expire()
}

// Approve takes note of what a decision lets the plugin have of a container that is
// being created: the review is [engine.Decision.Approved]. It takes the place of
// what the plugin was let have of that container before.
func (m *Member) Approve(r *engine.Review) {
	var marks []mark
	for _, c := range r.Changes {
		marks = append(marks, marksOf(c, true)...)
	}
	l := m.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire()
	id := r.Container.GetId()
	c := l.creations[id]
	if c == nil {
		c = &creation{by: map[*Member][]mark{}}
		l.creations[id] = c
	}
	c.at = l.now()
	c.by[m] = marks
}

// expire forgets what is old.
func (l *Ledger) expire() {
	now := l.now()
	maps.DeleteFunc(l.members, func(_ *Member, left time.Time) bool { return !left.IsZero() && now.Sub(left) > departedKept })
	if len(l.creations) < creationsKept {
		maps.DeleteFunc(l.creations, func(_ string, c *creation) bool { return now.Sub(c.at) > creationKept })
		return
	}
	oldest := slices.MinFunc(slices.Collect(maps.Keys(l.creations)), func(a, b string) int {
		return cmp.Or(l.creations[a].at.Compare(l.creations[b].at), cmp.Compare(a, b))
	})
	delete(l.creations, oldest)
}

// Explain holds the merged adjustment of a container against what plugins were let
// have of it. Each change becomes theirs who were let have it, and plugins get the
// identity that was observed. It returns why the rest cannot have come through the
// proxy, sorted: plugins that were consulted more often than they are connected, and
// changes that nobody was let have, or not as often; nothing where all is explained.
// What it knows of the container is forgotten, and so are plugins that have left.
func (l *Ledger) Explain(r *engine.Review) (unexplained []string) {
	l.mu.Lock()
	l.expire()
	unexplained = l.surplus(r.Plugins)
	for i := range r.Plugins {
		r.Plugins[i].Identity = l.identity(r.Plugins[i].String())
	}
	id := r.Container.GetId()
	of := l.creations[id]
	delete(l.creations, id)
	maps.DeleteFunc(l.members, func(_ *Member, left time.Time) bool { return !left.IsZero() })
	l.mu.Unlock()

	left := of.allowances()
	for _, c := range r.Changes {
		owners, ok := left.take(marksOf(c, false))
		switch {
		case !ok:
			unexplained = append(unexplained, fmt.Sprintf("nothing that the proxy let through explains: %s", inFull(c)))
		case len(owners) > 0:
			own(c, owners)
		}
	}
	slices.Sort(unexplained)
	return slices.Compact(unexplained)
}

// surplus finds the names that were consulted more often than they are connected.
func (l *Ledger) surplus(consulted []engine.Plugin) []string {
	connected := map[string]int{}
	for _, p := range l.builtin {
		connected[p.String()]++
	}
	departed := map[string]bool{}
	for m, left := range l.members {
		name := m.plugin.String()
		if !left.IsZero() && departed[name] {
			continue // one creation sees one of a name leave, however often it comes and goes
		}
		departed[name] = departed[name] || !left.IsZero()
		connected[name]++
	}
	count := map[string]int{}
	var reasons []string
	for _, p := range consulted {
		name := p.String()
		if count[name]++; count[name] == connected[name]+1 {
			reasons = append(reasons, fmt.Sprintf("plugin %s did not come through the proxy", name))
		}
	}
	return reasons
}

// identity is what all who are connected under a name have in common.
func (l *Ledger) identity(name string) *engine.Identity {
	if slices.ContainsFunc(l.builtin, func(p engine.Plugin) bool { return p.String() == name }) {
		return nil
	}
	var common *engine.Identity
	for m := range l.members {
		switch {
		case m.plugin.String() != name:
		case m.plugin.Identity == nil:
			return nil
		case common == nil:
			common = m.plugin.Identity
		default:
			common = common.Common(m.plugin.Identity)
		}
	}
	return common
}

// own makes a change the plugins'.
func own(c *engine.Change, owners []engine.Plugin) {
	c.Owners, c.Plugin = owners, engine.Plugin{}
	if len(owners) == 1 {
		c.Plugin = owners[0]
	}
}

// inFull describes a change for people.
func inFull(c *engine.Change) string {
	return strings.TrimSpace(fmt.Sprintf("%s (container %s)", c, c.Container))
}
