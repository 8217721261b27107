package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/adaptation"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy"
)

// warnings are what a configuration can say and most likely does not mean, each with
// file, line and key.
func (c *config) warnings() []error {
	f := &findings{at: c.At}
	c.warnIdle(f)
	c.warnLaunch(f)
	for i, p := range c.Plugins {
		at := fmt.Sprintf("plugins[%d]", i)
		if indexed.MatchString(p.Name) {
			f.add(at+".name", "plugin %q: names are without the index; did you mean %q?", p.Name, p.Name[3:])
		}
		for j, g := range p.Grants {
			warnGrant(f, fmt.Sprintf("%s.grants[%d]", at, j), g)
		}
	}
	return f.errs
}

// indexed are names as those of the files that runtimes start plugins from.
var indexed = regexp.MustCompile(`^[0-9]{2}-.`)

// warnIdle finds a configuration by which nothing is guarded. One with policies alone
// is for a guard within a daemon.
func (c *config) warnIdle(f *findings) {
	blank := newConfig()
	service := !reflect.DeepEqual([]any{c.Runtime, c.Validator, c.Proxy}, []any{blank.Runtime, blank.Validator, blank.Proxy})
	embedded := !reflect.DeepEqual(c.Policy, policy.Policies{}) || len(c.Plugins)+len(c.Exemptions) > 0
	if !c.guards() && (service || !embedded) {
		f.errs = append(f.errs, fmt.Errorf("%s: by this file nothing is guarded: neither validator.enabled nor proxy.enabled is set", f.at("version")))
	}
}

// warnLaunch finds a directory of plugins that is not there and need not be: the one
// that runtimes look into, too. Of any other that is an error.
func (c *config) warnLaunch(f *findings) {
	dir := c.Proxy.Launch.Path
	if _, err := os.Stat(dir); dir == adaptation.DefaultPluginPath && errors.Is(err, fs.ErrNotExist) {
		f.add("proxy.launch.path", "%s does not exist: no plugin is started", dir)
	}
}

// warnGrant finds patterns that no change can match, however it is written: changes are
// compared in their normal form.
func warnGrant(f *findings, at string, g policy.Grant) {
	for i, key := range g.Keys {
		if why := neverMatches(g.Field, key); why != "" {
			f.add(fmt.Sprintf("%s.keys[%d]", at, i), "%q matches no change of field %s: %s", key, g.Field, why)
		}
	}
	for i, node := range g.HostPaths {
		if why := noCleanPath(node); why != "" {
			f.add(fmt.Sprintf("%s.hostPaths[%d]", at, i), "%q matches no node: %s", node, why)
		}
	}
}

// neverMatches says why a pattern matches no key of a field, "" where it may.
func neverMatches(field engine.Field, key string) string {
	switch field {
	case engine.MountPoint, engine.DeviceNode:
		return noCleanPath(key)
	case engine.OCIHook:
		return noneOf(key, hookStages)
	case engine.Namespaces:
		return noneOf(key, namespaceTypes)
	case engine.POSIXRlimit:
		return noneOf(key, rlimitTypes)
	case engine.Resource:
		return noResource(key)
	case engine.Env:
		return without(key, "=", "it is the name of a variable, without its value")
	case engine.NetDevice:
		return without(key, "/", "it is the name of an interface")
	case engine.CDI:
		if strings.Count(key, "/") != 1 || !strings.ContainsAny(key, "=*[?") {
			return "it reads vendor/class=name"
		}
	case engine.Sysctl:
		if strings.Contains(key, "/") && !strings.Contains(key, ".") {
			return "it is written with dots, as in net.ipv4.ip_forward"
		}
	}
	return ""
}

// What keys of some fields can be.
var (
	hookStages     = []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}
	namespaceTypes = []string{"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"}
	rlimitTypes    = []string{
		"RLIMIT_AS", "RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_LOCKS", "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE",
		"RLIMIT_NICE", "RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_RSS", "RLIMIT_RTPRIO", "RLIMIT_RTTIME", "RLIMIT_SIGPENDING", "RLIMIT_STACK",
	}
	// resources are those with a name of their own; there are hugepages.SIZE and
	// unified.FILE besides.
	resources = []string{
		"blockioClass", "rdtClass", "pids.limit",
		"cpu.cpus", "cpu.mems", "cpu.period", "cpu.quota", "cpu.realtimePeriod", "cpu.realtimeRuntime", "cpu.shares",
		"memory.disableOomKiller", "memory.kernel", "memory.kernelTcp", "memory.limit", "memory.reservation", "memory.swap",
		"memory.swappiness", "memory.useHierarchy",
	}
)

// wild are the characters that make a pattern of a name.
const wild = `*?[\`

// noneOf says that a pattern matches none of the names that there are.
func noneOf(pattern string, names []string) string {
	if slices.ContainsFunc(names, func(n string) bool { ok, _ := path.Match(pattern, n); return ok }) {
		return ""
	}
	return "there are " + strings.Join(names, ", ")
}

func noResource(key string) string {
	first := key[:strings.IndexAny(key+"*", wild)]
	if strings.HasPrefix(first, "hugepages.") || strings.HasPrefix(first, "unified.") ||
		first != key && (strings.HasPrefix("hugepages.", first) || strings.HasPrefix("unified.", first)) {
		return ""
	}
	if why := noneOf(key, resources); why != "" {
		return why + ", hugepages.SIZE, unified.FILE"
	}
	return ""
}

func without(key, what, why string) string {
	if strings.Contains(key, what) && !strings.Contains(key, "[") {
		return why
	}
	return ""
}

// noCleanPath says why a pattern matches no absolute path in its shortest form. What
// stands in brackets can be anything.
func noCleanPath(pattern string) string {
	switch {
	case strings.ContainsAny(pattern, `[\`):
		return ""
	case !strings.HasPrefix(pattern, "/") && strings.IndexAny(pattern, wild) != 0:
		return "paths are absolute"
	case pattern != "*" && path.Clean(pattern) != pattern:
		return fmt.Sprintf("paths are in their shortest form, as in %q", path.Clean(pattern))
	case strings.HasPrefix(pattern, "*"), strings.HasPrefix(pattern, "?"):
		return "a star does not cross a slash, and paths begin with one"
	}
	return ""
}
