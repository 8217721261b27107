package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/nri-guard/nri-guard/engine/nri/trust"
)

// checkTrust finds what the configuration names and others may write: the file
// itself, policies, plugins that the guard starts, the decision log, and the
// directories of that and of sockets.
func (c *config) checkTrust(file string) error { return c.checkTrustBelow("", file) }

// checkTrustBelow is checkTrust for a file system whose root is elsewhere. The names are
// those that it has there.
func (c *config) checkTrustBelow(root, file string) error {
	files := trust.Checker{Root: root}
	f := &findings{at: c.At}
	if err := files.Path(file); err != nil {
		f.errs = append(f.errs, fmt.Errorf("%s: %w", file, err))
	}
	check := func(key, path string, how func(string) error) {
		if path == "" {
			return
		}
		if err := how(path); err != nil {
			f.add(key, "%s: %w", path, err)
		}
	}
	for i, path := range c.Policy.Paths {
		check(fmt.Sprintf("policy.paths[%d]", i), path, files.Tree)
	}
	for i, m := range c.Policy.Wasm {
		check(fmt.Sprintf("policy.wasm[%d].path", i), m.Path, files.Path)
	}
	if c.guards() {
		check("runtime.socket", filepath.Dir(c.runtimeSocket()), files.Dir)
	}
	if c.Proxy.Enabled {
		check("proxy.socket", filepath.Dir(c.Proxy.Socket), files.Dir)
		check("proxy.launch.path", c.Proxy.Launch.Path, files.Tree)
		check("proxy.launch.config", c.Proxy.Launch.Config, files.Tree)
	}
	for i, p := range c.Plugins {
		if id := p.Identity; id != nil && id.SHA256 == "" && (id.UID == nil || *id.UID == 0) {
			check(fmt.Sprintf("plugins[%d].identity.exe", i), id.Exe, c.onHost(root).Path)
		}
	}
	if log := c.Audit.Path; log != "" && log != "-" {
		check("audit.path", filepath.Dir(log), files.Dir)
		check("audit.path", log, files.Path)
	}
	return errors.Join(f.errs...)
}

// onHost checks files of the host, by the names that they have there. The root is that of
// the file system that the configuration is about, "" for the guard's own.
func (c *config) onHost(root string) *trust.Checker {
	return &trust.Checker{Root: cmp.Or(root, filepath.Clean(c.hostRoot()))}
}
