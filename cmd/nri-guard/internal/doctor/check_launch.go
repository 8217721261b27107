package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// checkLaunch finds plugins that the runtime started once and that nobody starts now, and a
// directory of plugins that is not there. Nothing passes by the guard for that: what is missing
// is what the plugins would add.
func checkLaunch(n *node) []Finding {
	if !n.proxies() {
		return nil
	}
	return append(n.noPlugins(), n.each(n.orphans)...)
}

// noPlugins is about a directory that the guard is to start plugins from and that is not
// there. A runtime's default one is there only where a plugin is.
func (n *node) noPlugins() []Finding {
	dir := n.Guard.Proxy.Launch
	if dir == "" || n.guardian != nil && n.guardian.inPod() { // then the path is one of its image
		return nil
	}
	if _, err := n.host.stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	f := Finding{
		About: "guard", Severity: OK, Summary: "it starts no plugins: " + dir + " does not exist",
		Evidence: []string{n.Guard.At("proxy.launch.path")},
	}
	if !slices.Contains([]string{nriPluginDir, docker().defaults[pluginDir]}, dir) {
		f.Severity, f.Summary = Weak, "it is to start plugins from "+dir+", which does not exist"
		f.Meaning = "No plugin is started, and containers are created without what those would add. They are looked for when the guard starts."
		f.Fix = &Fix{Do: "Name the directory that has the plugins", File: n.Guard.File, Paste: "proxy: {launch: {path: " + nriPluginDir + "}}"}
	}
	return one(f)
}

// orphans are plugins where a runtime would look by default, with the runtime told to look
// elsewhere, and the guard too.
func (n *node) orphans(r *runtime) []Finding {
	now, at := r.path(pluginDir)
	dir, launch := r.defaults[pluginDir], n.Guard.Proxy.Launch
	if !n.guarded(r) || n.host.same(now, dir) || n.host.same(launch, dir) {
		return nil
	}
	left := slices.DeleteFunc(n.host.executables(dir), func(file string) bool {
		return slices.ContainsFunc(n.processes, func(p *process) bool { return n.host.same(p.exe, file) })
	})
	if len(left) == 0 {
		return nil
	}
	f := Finding{
		Severity: Weak, Summary: "nobody starts the plugins in " + dir,
		Meaning:  "The runtime looks elsewhere now, and the guard was not told to start them. Containers are created without what they would add.",
		Evidence: append(append([]string{at}, left...), launchOf(n)),
		Fix: &Fix{Do: "Let the guard start them", File: n.Guard.File,
			Paste: fmt.Sprintf("proxy: {launch: {path: %s, config: %s}}", dir, r.defaults[dropInDir])},
	}
	if n.guardian != nil && n.guardian.inPod() {
		f.Fix = &Fix{Do: "Run those that are needed as DaemonSets or units of their own, which connect to " + n.Guard.Proxy.Socket + "; take the others out of " + dir}
	}
	return one(f)
}

// launchOf says where the guard starts plugins from.
func launchOf(n *node) string {
	if n.Guard.Proxy.Launch == "" {
		return n.Guard.File + ": proxy.launch.path is not set"
	}
	return n.Guard.At("proxy.launch.path") + ": " + n.Guard.Proxy.Launch
}
