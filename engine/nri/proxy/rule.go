package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/peer"
)

// rule is what is demanded of plugins of one name, ready for use. Its zero value
// demands nothing.
type rule struct {
	// identities are alternatives; none is anybody.
	identities []*engine.IdentityMatch
	// events are those that may be subscribed to, 0 for all.
	events api.EventMask
	redact Redact
	// general is set where the rule is for all names that have none of their own.
	general bool
}

// newRules checks what is demanded of plugins. Where a name is there several times,
// one of the identities has to match, only events that every entry allows can be
// subscribed to, and what any entry hides is hidden.
func newRules(plugins []Plugin) (map[string]*rule, error) {
	rules := make(map[string]*rule, len(plugins))
	for _, p := range plugins {
		r := rules[p.Name]
		if r == nil {
			r = &rule{general: p.Name == Everybody}
			rules[p.Name] = r
		}
		if err := r.add(p); err != nil {
			return nil, fmt.Errorf("proxy: plugin %q: %w", p.Name, err)
		}
	}
	return rules, nil
}

func (r *rule) add(p Plugin) error {
	if err := api.CheckPluginName(p.Name); err != nil && !r.general {
		return err
	}
	if p.Identity != nil {
		if *p.Identity == (engine.IdentityMatch{}) {
			return errors.New("the identity demands nothing; give exe, sha256 or uid")
		}
		r.identities = append(r.identities, p.Identity)
	}
	if err := r.narrow(p.Events); err != nil {
		return err
	}
	for _, list := range [][]string{p.Redact.Env, p.Redact.Annotations} {
		for _, pattern := range list {
			if _, err := path.Match(pattern, ""); err != nil {
				return fmt.Errorf("the pattern %q cannot be read: %w", pattern, err)
			}
		}
	}
	r.redact.Env = append(r.redact.Env, p.Redact.Env...)
	r.redact.Annotations = append(r.redact.Annotations, p.Redact.Annotations...)
	return nil
}

// narrow leaves only the events that are named; no name leaves all.
func (r *rule) narrow(names []string) error {
	if len(names) == 0 {
		return nil
	}
	var events api.EventMask
	for _, name := range names {
		event, ok := eventNamed(name)
		if !ok {
			return fmt.Errorf("there is no event %q; events are named as in CreateContainer", name)
		}
		events.Set(event)
	}
	if r.events != 0 {
		events &= r.events
	}
	if events == 0 {
		return errors.New("its entries have no event in common")
	}
	r.events = events
	return nil
}

// demand returns why a plugin is not who it has to be.
func (r *rule) demand(p engine.Plugin) error {
	if len(r.identities) == 0 {
		return nil
	}
	if p.Identity == nil {
		return fmt.Errorf("plugins[].identity says who may register as %q, and nothing is known of who connected", p.Name)
	}
	var wrong []string
	for _, m := range r.identities {
		switch {
		case !m.Matches(p.Identity):
			wrong = append(wrong, mismatch(m, p.Identity))
		case m.Exe+m.SHA256 != "" && peer.Interpreter(p.Identity.Exe):
			return fmt.Errorf("plugins[].identity says what %q is to run, but %s runs what it is told: demand a program, or the user alone", p.Name, p.Identity.Exe)
		default:
			return nil
		}
	}
	return fmt.Errorf("%s may not register as %q: %s; whoever may is to be named there",
		describe(p.Identity), p.Name, strings.Join(wrong, "; and "))
}

// mismatch says in what an identity is not as demanded, with the keys of the
// configuration.
func mismatch(m *engine.IdentityMatch, id *engine.Identity) string {
	var parts []string
	differs := func(what, key, demanded string) {
		parts = append(parts, fmt.Sprintf("its %s is not %s (plugins[].identity.%s)", what, demanded, key))
	}
	if one := (engine.IdentityMatch{Exe: m.Exe}); !one.Matches(id) {
		differs("executable", "exe", m.Exe)
	}
	if one := (engine.IdentityMatch{SHA256: m.SHA256}); !one.Matches(id) {
		differs("digest", "sha256", m.SHA256)
	}
	if one := (engine.IdentityMatch{UID: m.UID}); !one.Matches(id) {
		differs("user", "uid", fmt.Sprint(*m.UID))
	}
	return strings.Join(parts, ", ")
}

// describe names a process for people.
func describe(id *engine.Identity) string {
	if id == nil {
		return "somebody unknown"
	}
	return fmt.Sprintf("process %d (%s, sha256 %s, user %d)", id.PID,
		cmp.Or(id.Exe, "executable unknown"), cmp.Or(id.SHA256, "unknown"), id.UID)
}

func eventNamed(name string) (api.Event, bool) {
	for event, pretty := range api.EventPrettyNames {
		if pretty == name {
			return event, true
		}
	}
	return 0, false
}

// allow narrows a subscription down. For NRI a mask of 0 means everything that
// there is, so that none may come out: then ok is false. Events that this build
// does not know are not subscribed to, as their messages would not be relayed.
func (r *rule) allow(wanted api.EventMask) (mask api.EventMask, ok bool) {
	switch {
	case wanted != 0 && r.events == 0:
		mask = wanted & api.ValidEvents
	case wanted != 0:
		mask = wanted & r.events
	default:
		return r.events, true
	}
	return mask, mask != 0
}

// subscribable names what may be subscribed to.
func (r *rule) subscribable() string {
	events := r.events
	if events == 0 {
		events = api.ValidEvents
	}
	return events.PrettyString()
}
