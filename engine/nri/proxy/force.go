package proxy

import (
	"context"
	"fmt"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
)

// force is what is in force at one moment: what is demanded of plugins, and the rules
// that decide. A decision takes both from one moment.
type force struct {
	plugins map[string]*rule
	rules   engine.Rules
}

// inForce returns what is in force now.
func (p *Proxy) inForce() force {
	p.swapping.RLock()
	defer p.swapping.RUnlock()
	return force{plugins: p.plugins, rules: p.cfg.Engine.Rules()}
}

// rule returns what is demanded of plugins of a name.
func (f *force) rule(name string) *rule {
	if r, ok := f.plugins[name]; ok {
		return r
	}
	if r, ok := f.plugins[Everybody]; ok {
		return r
	}
	return &rule{}
}

func (f *force) decide(ctx context.Context, r *engine.Review) *engine.Decision {
	return engine.New(f.rules).Decide(ctx, r)
}

// SetPlugins replaces what is demanded of plugins. What the list says of events
// holds for registrations from now on, the rest for connected plugins too: one
// whose identity does not match any more is disconnected. An error leaves all as
// it was.
func (p *Proxy) SetPlugins(plugins []Plugin) error {
	return p.replace(plugins, func() {})
}

// Swap is [Proxy.SetPlugins] together with the engine's [engine.Engine.Swap]: each
// decision of the proxy is made by what was before, demands and rules, or by what
// comes now.
func (p *Proxy) Swap(plugins []Plugin, rules engine.Rules) error {
	return p.replace(plugins, func() { p.cfg.Engine.Swap(rules) })
}

// replace has the plugins' rules replaced at the moment at which also happens, and
// disconnects those who are not who they have to be now.
func (p *Proxy) replace(plugins []Plugin, also func()) error {
	next, err := newRules(plugins)
	if err != nil {
		return err
	}
	p.swapping.Lock()
	p.plugins = next
	also()
	p.swapping.Unlock()
	now := force{plugins: next}
	for _, l := range p.connected() {
		if err := now.rule(l.plugin.Name).demand(l.plugin); err != nil {
			l.end(fmt.Errorf("the configuration has changed: %w", err))
		}
	}
	return nil
}

// court decides about what a plugin says: by the rules, and by what is demanded of the
// plugin.
type court struct{ link *link }

var _ nri.Decider = court{}

// Decide implements [nri.Decider].
func (c court) Decide(ctx context.Context, r *engine.Review) *engine.Decision {
	l := c.link
	f := l.proxy.inForce()
	if rule := f.rule(l.plugin.Name); len(rule.identities) > 0 {
		if err := rule.demand(l.plugin); err != nil {
			r.Malformed = append(r.Malformed, err.Error())
		}
		if err := l.verify(); err != nil {
			r.Malformed = append(r.Malformed, "the plugin is not who registered any more: "+err.Error())
		}
	}
	return f.decide(ctx, r)
}

// Revoke implements [nri.Decider].
func (c court) Revoke(ctx context.Context, r *engine.Review, d *engine.Decision, why string) {
	c.link.proxy.cfg.Engine.Revoke(ctx, r, d, why)
}
