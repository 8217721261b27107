package nri

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
)

const (
	// creationKept is how long what was approved for a container is kept: a creation
	// takes NRI's request timeout for each plugin at most.
	creationKept = time.Minute
	// creationsKept is for how many containers at a time.
	creationsKept = 1024
	// departedKept is for how long a plugin that has left counts as connected. NRI
	// lists those it has consulted, and one may leave in the middle.
	departedKept = 10 * time.Second
)

// Ledger remembers which plugins are connected through a proxy, and what they were
// let have of the containers that are being created. A validator holds the merged
// adjustment against it: what nobody was allowed came past the proxy, whatever the
// names of the plugins say. It is safe for concurrent use.
type Ledger struct {
	mu        sync.Mutex
	builtin   []engine.Plugin
	members   map[*Member]struct{}
	departed  map[string][]time.Time // when those of a name have left
	creations map[string]*creation   // by the id of the container
	now       func() time.Time
}

// Member is a plugin that is connected through the proxy.
type Member struct {
	ledger *Ledger
	name   string
}

// creation is what plugins were let have of one container.
type creation struct {
	at time.Time
	by map[*Member][]mark
}

// mark stands for one change of a container.
type mark [sha256.Size]byte

// NewLedger returns a ledger. The plugins are those that are part of the runtime and
// consulted beside the proxy's, one for each entry. NRI's default validator need
// not be named.
func NewLedger(builtin ...engine.Plugin) *Ledger {
	return &Ledger{
		builtin:   append(slices.Clone(builtin), engine.Plugin{Index: "00", Name: "default-validator"}),
		members:   map[*Member]struct{}{},
		departed:  map[string][]time.Time{},
		creations: map[string]*creation{},
		now:       time.Now,
	}
}

// Join takes in a plugin that the runtime will consult from now on.
func (l *Ledger) Join(p engine.Plugin) *Member {
	m := &Member{ledger: l, name: p.String()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.members[m] = struct{}{}
	return m
}

// Leave lets the plugin go. What it was let have stands.
func (m *Member) Leave() {
	l := m.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.members[m]; !ok {
		return
	}
	delete(l.members, m)
	l.departed[m.name] = append(l.departed[m.name], l.now())
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
	for name, times := range l.departed {
		times = slices.DeleteFunc(times, func(t time.Time) bool { return now.Sub(t) > departedKept })
		if l.departed[name] = times; len(times) == 0 {
			delete(l.departed, name)
		}
	}
	if len(l.creations) < creationsKept {
		maps.DeleteFunc(l.creations, func(_ string, c *creation) bool { return now.Sub(c.at) > creationKept })
		return
	}
	oldest := slices.MinFunc(slices.Collect(maps.Keys(l.creations)), func(a, b string) int {
		return cmp.Or(l.creations[a].at.Compare(l.creations[b].at), cmp.Compare(a, b))
	})
	delete(l.creations, oldest)
}

// Unexplained returns why the merged adjustment of a container cannot have come
// through the proxy alone, sorted: plugins that were consulted more often than they
// are connected, and changes that nobody was let have, or not as often. It is empty
// where all is explained. What it knows of the container is forgotten.
func (l *Ledger) Unexplained(r *engine.Review) []string {
	id := r.Container.GetId()
	l.mu.Lock()
	l.expire()
	surplus := l.surplus(r.Plugins)
	left := map[mark]int{}
	if c := l.creations[id]; c != nil {
		for _, marks := range c.by {
			for _, k := range marks {
				left[k]++
			}
		}
	}
	delete(l.creations, id)
	l.mu.Unlock()

	reasons := surplus
	for _, c := range r.Changes {
		for _, k := range marksOf(c, false) {
			if left[k] == 0 {
				reasons = append(reasons, fmt.Sprintf("nothing that the proxy let through explains: %s", inFull(c)))
				break
			}
			left[k]--
		}
	}
	slices.Sort(reasons)
	return slices.Compact(reasons)
}

// surplus finds the names that were consulted more often than they are connected.
func (l *Ledger) surplus(consulted []engine.Plugin) []string {
	connected := map[string]int{}
	for _, p := range l.builtin {
		connected[p.String()]++
	}
	for m := range l.members {
		connected[m.name]++
	}
	for name, times := range l.departed {
		connected[name] += len(times)
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

// inFull describes a change for people.
func inFull(c *engine.Change) string {
	return strings.TrimSpace(fmt.Sprintf("%s (container %s)", c, c.Container))
}

// marksOf identifies a change by what becomes of the container: where two plugins
// have a part in it, what there was before depends on who is asked, and so do all
// judgements that compare with it. RDT classes are merged member by member: of one
// plugin's own reply each member counts, of the merged one those that differ from
// what there was.
func marksOf(c *engine.Change, own bool) []mark {
	rdt, ok := c.Value.(*api.LinuxRdt)
	if !ok || c.Op == engine.Remove {
		return []mark{markOf(c, outcome(c))}
	}
	old, _ := c.Old.(*api.LinuxRdt)
	var marks []mark
	for _, member := range []struct {
		name       string
		value, was proto.Message
	}{
		{"closId", rdt.GetClosId(), old.GetClosId()},
		{"schemata", rdt.GetSchemata(), old.GetSchemata()},
		{"enableMonitoring", rdt.GetEnableMonitoring(), old.GetEnableMonitoring()},
	} {
		set := member.value.ProtoReflect().IsValid()
		if set && (own || !proto.Equal(member.value, member.was)) {
			marks = append(marks, markOf(c, member.name, encode(member.value)))
		}
	}
	return marks
}

func markOf(c *engine.Change, rest ...string) mark {
	parts := append([]string{c.Container, string(c.Field), c.Key}, rest...)
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return mark(h.Sum(nil))
}

// outcome is what will be there.
func outcome(c *engine.Change) string {
	if c.Op == engine.Remove {
		return "-"
	}
	switch v := c.Value.(type) {
	case *engine.Mount:
		return "=" + encode(append([]string{v.Type, v.Source}, v.Options...))
	case *engine.Device:
		d := *v
		d.HostPaths = nil
		return "=" + encode(d)
	default:
		return "=" + encode(v)
	}
}

// encode writes a value so that equal ones come out equal.
func encode(v any) string {
	if m, ok := v.(proto.Message); ok {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			return fmt.Sprintf("%v", m)
		}
		return string(b)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%#v", v)
	}
	return string(b)
}
