package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine/audit"
	"github.com/nri-guard/nri-guard/engine/nri"
	"github.com/nri-guard/nri-guard/engine/nri/observer"
	"github.com/nri-guard/nri-guard/engine/nri/peer"
	"github.com/nri-guard/nri-guard/engine/nri/proxy"
	"github.com/nri-guard/nri-guard/engine/nri/validator"
	"github.com/nri-guard/nri-guard/engine/policy"
)

// maxSocketPath is the longest path that a socket can have: struct sockaddr_un has
// room for 108 bytes with the final NUL.
const maxSocketPath = 107

// hiddenName is as long as the name under which the proxy's socket is made.
const hiddenName = "/.0123456"

// findings collects what is wrong with a configuration file.
type findings struct {
	at   func(key string) string
	errs []error
}

func (f *findings) add(key, format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf("%s: %w", f.at(key), fmt.Errorf(format, args...)))
}

// check says what is wrong with the sections that are not about policies, each with
// file, line and key.
func (c *config) check(file string) error {
	f := &findings{at: c.At}
	c.checkAudit(f, file)
	c.checkRuntime(f)
	c.checkValidator(f)
	c.checkProxy(f)
	c.checkPlugins(f)
	c.Admin.check(f)
	return errors.Join(f.errs...)
}

func (c *config) checkAudit(f *findings, file string) {
	var wrong *audit.KeyError
	if errors.As(c.Audit.Check(), &wrong) {
		f.add("audit."+wrong.Key, "%s", wrong.Message)
		return
	}
	log := c.Audit.Path
	if c.Audit.BestEffort && log == "" {
		f.add("audit.bestEffort", "there is no decision log; set audit.path")
	}
	if log == "" || log == "-" {
		return
	}
	for _, u := range c.uses(file) {
		if u.holds(log) {
			f.add("audit.path", "%s belongs to %s; the decision log needs a place of its own", log, u.what)
			return
		}
	}
}

func (c *config) checkRuntime(f *findings) {
	if c.Proxy.Enabled && c.Runtime.Socket == "" {
		f.add("runtime.socket", "must be given with the proxy, which takes the well-known socket: have the runtime listen elsewhere, in a directory for root alone, and name that here")
	}
	if c.Runtime.Socket != "" {
		checkSocket(f, "runtime.socket", c.Runtime.Socket)
	}
	c.checkBuiltin(f)
	root := c.hostRoot()
	switch info, err := os.Stat(root); {
	case !filepath.IsAbs(root):
		f.add("runtime.hostRoot", "%q must be absolute", root)
	case err != nil:
		f.add("runtime.hostRoot", "%w", err)
	case !info.IsDir():
		f.add("runtime.hostRoot", "%s is no directory", root)
	}
}

func (c *config) checkBuiltin(f *findings) {
	for i, b := range c.Runtime.Builtin {
		at := fmt.Sprintf("runtime.builtin[%d]", i)
		index, name, found := strings.Cut(b, "-")
		switch {
		case !found || api.CheckPluginIndex(index) != nil || api.CheckPluginName(name) != nil:
			f.add(at, "%q does not read INDEX-NAME, as 10-name", b)
		case slices.Contains(c.ownNames(), name):
			f.add(at, "%s is the guard's own name, and the guard knows itself; name only plugins that are part of the runtime", name)
		case !c.Proxy.Enabled || !c.Validator.Enabled:
			f.add(at, "without both proxy.enabled and validator.enabled nobody asks whether %s came through the proxy", b)
		case slices.Contains(c.Runtime.Builtin[:i], b):
			f.add(at, "%s stands here twice", b)
		}
	}
}

func checkSocket(f *findings, key, path string) {
	switch {
	case !filepath.IsAbs(path) || strings.HasSuffix(path, "/") || strings.ContainsRune(path, 0):
		f.add(key, "%q must be the absolute path of a socket", path)
	case len(path) > maxSocketPath:
		f.add(key, "%q is too long for the path of a socket, which has at most %d bytes", path, maxSocketPath)
	}
}

// ownNames are those that the guard itself goes by. The default is one of them whatever
// the validator is called: a plugin of that name would be taken for the guard.
func (c *config) ownNames() []string {
	return []string{validator.DefaultName, c.Validator.Name, observer.DefaultName}
}

func (c *config) checkValidator(f *findings) {
	v := c.Validator
	switch err := api.CheckPluginName(v.Name); {
	case err != nil:
		f.add("validator.name", "%w", err)
	case strings.HasPrefix(v.Name, "-"):
		f.add("validator.name", "invalid plugin name %q: NRI takes a leading - for the mark of a removal", v.Name)
	case v.Name == observer.DefaultName:
		f.add("validator.name", "%q is the name of the guard's other connection to the runtime", v.Name)
	case v.Name == nri.DefaultValidator:
		f.add("validator.name", "%q is the name of the validator that is part of NRI", v.Name)
	}
	if err := api.CheckPluginIndex(v.Index); err != nil {
		f.add("validator.index", "%w", err)
	}
}

func (c *config) checkProxy(f *findings) {
	p := c.Proxy
	checkSocket(f, "proxy.socket", p.Socket)
	if dir := filepath.Dir(p.Socket); len(p.Socket) <= maxSocketPath && len(dir)+len(hiddenName) > maxSocketPath {
		f.add("proxy.socket", "%q is too long for the directory of a socket, which is made there under a name of %d bytes before it gets its own: it has at most %d bytes",
			dir, len(hiddenName)-1, maxSocketPath-len(hiddenName))
	}
	if p.Enabled && c.Runtime.Socket != "" && p.socket().At(c.Runtime.Socket) {
		f.add("proxy.socket", "%s is the runtime's own socket (runtime.socket is %s): have the runtime listen elsewhere", p.Socket, c.Runtime.Socket)
	}
	switch mode := p.Mode; {
	case mode&0o600 != 0o600:
		f.add("proxy.mode", "%04o keeps the owner from connecting; it needs 0600 at least", mode)
	case mode&0o007 != 0:
		f.add("proxy.mode", "%04o lets everybody on the host connect; allow a group and set proxy.gid", mode)
	}
	checkID(f, "proxy.uid", p.UID)
	checkID(f, "proxy.gid", p.GID)
	c.checkLaunch(f)
}

// maxID is the highest user or group id: the one above it stands for none.
const maxID = math.MaxUint32 - 1

func checkID(f *findings, key string, id *int64) {
	if id != nil && (*id < 0 || *id > maxID) {
		f.add(key, "%d is no id; there are 0 to %d", *id, maxID)
	}
}

func (c *config) checkLaunch(f *findings) {
	l := c.Proxy.Launch
	switch {
	case l == launchConfig{}:
		return
	case !c.Proxy.Enabled:
		f.add("proxy.launch", "plugins are started by the proxy only; set proxy.enabled")
	case l.Path == "":
		f.add("proxy.launch.config", "there are no plugins to configure; set proxy.launch.path")
	}
	for _, p := range []struct{ key, path string }{{"path", l.Path}, {"config", l.Config}} {
		if p.path != "" && !filepath.IsAbs(p.path) {
			f.add("proxy.launch."+p.key, "%q must be absolute", p.path)
		}
	}
}

// checkPlugins looks at what the proxy makes of plugins; the policies look at the
// rest.
func (c *config) checkPlugins(f *findings) {
	first := map[string]int{}
	for i, p := range c.Plugins {
		at := fmt.Sprintf("plugins[%d]", i)
		switch {
		case slices.Contains(c.ownNames(), p.Name):
			f.add(at+".name", "%q is the guard's own name; no plugin can have it", p.Name)
		case p.Name == nri.DefaultValidator:
			f.add(at+".name", "%q is the name of the validator that is part of NRI; no plugin can have it", p.Name)
		case p.Name != "" && p.Name != proxy.Everybody && api.CheckPluginName(p.Name) != nil:
			f.add(at+".name", "%w", api.CheckPluginName(p.Name))
		}
		c.checkIdentity(f, at, p)
		if len(p.Events) > 0 && !c.Proxy.Enabled {
			f.add(at+".events", "plugin %s: subscriptions are limited by the proxy only; set proxy.enabled", p.Name)
		}
		if hides(p.Redact) && !c.Proxy.Enabled {
			f.add(at+".redact", "plugin %s: values are hidden by the proxy only; set proxy.enabled", p.Name)
		}
		checkEvents(f, at, p)
		checkPatterns(f, at+".redact.env", p.Redact.Env)
		checkPatterns(f, at+".redact.annotations", p.Redact.Annotations)
		if j, ok := first[p.Name]; ok {
			checkAgreement(f, at, p, c.Plugins[j], j)
			continue
		}
		first[p.Name] = i
	}
}

func (c *config) checkIdentity(f *findings, at string, p policy.Plugin) {
	if p.Identity == nil {
		return
	}
	if c.Validator.Enabled && !c.Proxy.Enabled {
		f.add(at+".identity", "plugin %s: a validator cannot tell who is at the other end of a connection; set proxy.enabled or leave the identity out", p.Name)
	}
	if peer.Interpreter(p.Identity.Exe) {
		f.add(at+".identity.exe", "plugin %s: %s runs what it is told, so that everybody's scripts would be this plugin; name a program, or demand the user alone", p.Name, p.Identity.Exe)
	}
	checkID(f, at+".identity.uid", p.Identity.UID)
}

func hides(r policy.Redact) bool { return len(r.Env)+len(r.Annotations) > 0 }

func checkEvents(f *findings, at string, p policy.Plugin) {
	known := eventNames()
	for i, event := range p.Events {
		if !slices.Contains(known, event) {
			f.add(fmt.Sprintf("%s.events[%d]", at, i), "plugin %s: there is no event %q; there are %s", p.Name, event, strings.Join(known, ", "))
		}
	}
}

func checkPatterns(f *findings, at string, patterns []string) {
	for i, p := range patterns {
		if _, err := path.Match(p, ""); err != nil {
			f.add(fmt.Sprintf("%s[%d]", at, i), "pattern %q: %w", p, err)
		}
	}
}

// checkAgreement compares a plugin's further entry with its first. Several entries
// can grant for several namespaces, but who the plugin is, and what it gets to see,
// is said once or the same each time.
func checkAgreement(f *findings, at string, p, first policy.Plugin, j int) {
	for _, part := range []struct {
		key        string
		is, before any
	}{
		{"identity", p.Identity, first.Identity},
		{"events", p.Events, first.Events},
		{"redact", p.Redact, first.Redact},
	} {
		if v := reflect.ValueOf(part.is); !v.IsZero() && !reflect.DeepEqual(part.is, part.before) {
			f.add(at+"."+part.key, "plugin %s: plugins[%d], which is about the same plugin, does not say the same; say it there once", p.Name, j)
		}
	}
}

// eventNames lists the events that a plugin can subscribe to, as NRI spells them.
func eventNames() []string {
	all := api.ValidEvents
	return strings.Split(all.PrettyString(), ",")
}

func (a *adminConfig) check(f *findings) {
	if a.Address == adminOff {
		return
	}
	host, port, err := net.SplitHostPort(a.Address)
	if err != nil {
		f.add("admin.address", "%q is no address such as 127.0.0.1:9321, and not off", a.Address)
		return
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		f.add("admin.address", "%q is no port", port)
	}
	switch ip, err := netip.ParseAddr(host); {
	case err != nil:
		f.add("admin.address", "%q is no IP address", host)
	case !ip.IsLoopback() && !a.Public:
		f.add("admin.address", "%s can be reached from other machines; if that is meant, set admin.public", host)
	}
}
