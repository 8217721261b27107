package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/nri/pkg/adaptation"
	securejoin "github.com/cyphar/filepath-securejoin"
)

// place is a file, a socket or a directory that the guard uses, and what it is to it.
type place struct{ what, path string }

// uses are the places that a configuration, which is a file itself, names or leaves at
// their defaults. What would be written there in their stead is lost or, worse, read.
func (c *config) uses(file string) []place {
	places := []place{
		{"the configuration file", file},
		{"runtime.socket", c.runtimeSocket()},
		{"proxy.socket", c.Proxy.Socket},
		{"proxy.launch.path", c.Proxy.Launch.Path},
		{"proxy.launch.config", c.Proxy.Launch.Config},
		{"policy.sandbox.cache", c.Policy.Sandbox.Cache},
	}
	for i, p := range c.Policy.Paths {
		places = append(places, place{fmt.Sprintf("policy.paths[%d]", i), p})
	}
	for i, m := range c.Policy.Wasm {
		places = append(places, place{fmt.Sprintf("policy.wasm[%d].path", i), m.Path})
	}
	return places
}

// holds says whether a path leads to the place or below it, through links too. Nothing
// needs to be there.
func (p place) holds(path string) bool {
	if p.path == "" {
		return false
	}
	mine, errMine := os.Stat(p.path)
	other, errOther := os.Stat(path)
	if errMine == nil && errOther == nil && os.SameFile(mine, other) {
		return true
	}
	own, errMine := unlinked(p.path)
	path, errOther = unlinked(path)
	return errMine == nil && errOther == nil && (path == own || strings.HasPrefix(path, own+"/"))
}

// unlinked is a path without symbolic links.
func unlinked(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return securejoin.SecureJoin("/", path)
}

// checkPaths finds policies that the configuration names and that are not there.
func (c *config) checkPaths() error {
	f := &findings{at: c.At}
	for i, p := range c.Policy.Paths {
		if _, err := os.Stat(p); err != nil {
			f.add(fmt.Sprintf("policy.paths[%d]", i), "%w", err)
		}
	}
	return errors.Join(f.errs...)
}

// checkLaunched finds directories that plugins are to be started from and that are not
// there: plugins that somebody counts on would be missing without a word. Those that
// runtimes look into by default need not be there, as for them.
func (c *config) checkLaunched() error {
	if !c.Proxy.Enabled {
		return nil
	}
	f := &findings{at: c.At}
	launch := c.Proxy.Launch
	for _, dir := range []struct{ key, path, usual string }{
		{"proxy.launch.path", launch.Path, adaptation.DefaultPluginPath},
		{"proxy.launch.config", launch.Config, adaptation.DefaultPluginConfigPath},
	} {
		if dir.path == "" {
			continue
		}
		switch info, err := os.Stat(dir.path); {
		case dir.path == dir.usual && errors.Is(err, fs.ErrNotExist):
		case err != nil:
			f.add(dir.key, "%w", err)
		case !info.IsDir():
			f.add(dir.key, "%s is no directory", dir.path)
		}
	}
	return errors.Join(f.errs...)
}

// checkVacant finds something in the place of the proxy's socket that is none: it is not
// for the guard to take away.
func (c *config) checkVacant() error {
	if !c.Proxy.Enabled {
		return nil
	}
	f := &findings{at: c.At}
	path := filepath.Clean(c.Proxy.Socket)
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		f.add("proxy.socket", "%w", err)
	case info.Mode().Type() != fs.ModeSocket:
		f.add("proxy.socket", "%s is there and is no socket; move it away", path)
	}
	return errors.Join(f.errs...)
}
