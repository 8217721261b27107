package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/watch"
	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/proxy"
	"github.com/nri-guard/nri-guard/engine/policy"
)

// loaded is a configuration with everything that it names, read and checked.
type loaded struct {
	config *config
	set    *policy.Set
	at     time.Time
	// stamp is how the files were when they were read, or which could not be read.
	stamp *watch.Stamp
}

// load reads a configuration file for the service. After an error the stamp is there
// all the same: who mends what is wrong changes one of those files.
func load(ctx context.Context, file string) (*loaded, error) {
	l := &loaded{at: time.Now(), stamp: &watch.Stamp{}}
	l.stamp.Add(file)
	if err := rereadable(file); err != nil {
		return l, err
	}
	c, err := readConfig(file)
	if err != nil {
		return l, err
	}
	for _, p := range c.Policy.Paths {
		l.stamp.Add(p)
	}
	for _, m := range c.Policy.Wasm {
		l.stamp.Add(m.Path)
	}
	l.config = c
	if !c.guards() {
		return l, fmt.Errorf("%s: neither validator.enabled nor proxy.enabled is set: there is nothing to do", file)
	}
	if err := errors.Join(c.checkPaths(), c.checkLaunched()); err != nil {
		return l, err
	}
	if err := c.checkTrust(file); err != nil {
		return l, err
	}
	l.set, err = c.load(ctx)
	return l, err
}

// rereadable returns an error for a file that can be read once at most, such as a pipe,
// which may also have us wait. Other problems are found when it is read.
func rereadable(file string) error {
	info, err := os.Stat(file)
	if err != nil || info.IsDir() || info.Mode().IsRegular() {
		return nil
	}
	return fmt.Errorf("%s: is no regular file, and has to be read again at each reload", file)
}

// restart returns an error when the new configuration asks for what only a restart
// can give.
func (l *loaded) restart(next *loaded) error {
	f := &findings{at: next.config.At}
	was, is := l.config, next.config
	for _, part := range []struct {
		key     string
		was, is any
	}{
		{"runtime", was.Runtime, is.Runtime},
		{"validator", was.Validator, is.Validator},
		{"proxy", was.Proxy, is.Proxy},
		{"audit", was.Audit.file(), is.Audit.file()},
		{"admin", was.Admin, is.Admin},
	} {
		if !reflect.DeepEqual(part.was, part.is) {
			f.add(part.key, "cannot change without a restart; until then nothing of the file is in force")
		}
	}
	return errors.Join(f.errs...)
}

// file is the part of the decision log's configuration that an open file is bound to.
func (a auditConfig) file() auditConfig {
	a.Unmask, a.Labels, a.BestEffort = nil, nil, false
	return a
}

// enforcements are those of all policies, by name.
func (l *loaded) enforcements() map[string]engine.Enforcement {
	all := map[string]engine.Enforcement{}
	for _, p := range l.set.Policies() {
		all[p.Name] = p.Enforcement
	}
	return all
}

// pluginNames are those of the plugins that the configuration knows.
func (c *config) pluginNames() []string {
	var names []string
	for _, p := range c.Plugins {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// proxied is what the proxy demands of plugins. Of several entries for one plugin the
// first says it; the others do not say anything else.
func (c *config) proxied() []proxy.Plugin {
	var list []proxy.Plugin
	for _, p := range c.Plugins {
		if slices.ContainsFunc(list, func(q proxy.Plugin) bool { return q.Name == p.Name }) {
			continue
		}
		q := proxy.Plugin{Name: p.Name, Events: p.Events, Redact: proxy.Redact{Env: p.Redact.Env, Annotations: p.Redact.Annotations}}
		if id := p.Identity; id != nil {
			q.Identity = &engine.IdentityMatch{Exe: id.Exe, SHA256: id.SHA256, UID: id.UID}
		}
		list = append(list, q)
	}
	return list
}
