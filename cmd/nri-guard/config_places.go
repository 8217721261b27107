package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

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
