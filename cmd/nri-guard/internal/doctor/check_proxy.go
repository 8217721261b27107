package doctor

import (
	"fmt"
	"path"
	"strings"
)

// checkRuntimeSocket finds runtimes whose own socket plugins can reach, past the proxy.
func checkRuntimeSocket(n *node) []Finding {
	if !n.proxies() {
		return nil
	}
	return n.each(func(r *runtime) []Finding {
		socket, at := r.socket()
		if socket == "" {
			return nil
		}
		if !n.guarded(r) {
			return nil // checkNRI has said so
		}
		f := Finding{
			Severity: FailOpen, Evidence: []string{at},
			Meaning: "Who reaches the runtime's socket is a plugin that nobody judges.",
			Fix:     r.set("Have it listen in a directory of its own, and tell the guard (runtime.socket)", assignment{socketPath, privateSocket}),
		}
		for _, dir := range []string{path.Dir(wellKnownSocket), path.Dir(n.Guard.Proxy.Socket)} {
			if n.host.within(socket, dir) {
				f.Summary = fmt.Sprintf("its NRI socket is in %s, which plugins are given", dir)
				return one(f)
			}
		}
		return n.socketDir(socket, f)
	})
}

// socketDir looks at the directory of the runtime's socket: it should be root's alone.
func (n *node) socketDir(socket string, f Finding) []Finding {
	dir := path.Dir(socket)
	info, err := n.host.stat(dir)
	switch {
	case err != nil:
		return one(Finding{Severity: OK, Summary: "its NRI socket is to be at " + socket + "; the directory is not there yet", Evidence: f.Evidence})
	case closed(info):
		return one(Finding{Severity: OK, Summary: "its NRI socket is in a directory for root alone", Evidence: append(f.Evidence, modeOf(dir, info))})
	}
	f.Evidence = append(f.Evidence, modeOf(dir, info))
	f.Summary = fmt.Sprintf("the directory of its NRI socket, %s, is open to others than root", dir)
	f.Fix = &Fix{Do: atBoot("Close the directory", dir), Paste: closing(dir, info)}
	if file, err := n.host.stat(socket); err == nil && !connectable(file) {
		f.Severity = Weak
		f.Meaning = "The socket's own permissions keep others from connecting. They are the runtime's to choose, at every start."
		f.Evidence = append(f.Evidence, modeOf(socket, file))
	}
	return one(f)
}

// atBoot adds what makes the mode of a directory last, where a boot makes the directory anew.
func atBoot(do, dir string) string {
	if strings.HasPrefix(dir, "/run/") || strings.HasPrefix(dir, "/var/run/") {
		do += "; for the next boots say so in /etc/tmpfiles.d, as deploy/systemd/nri-guard.conf does"
	}
	return do
}

// checkWellKnown finds out whether it is the guard that listens where plugins connect.
func checkWellKnown(n *node) []Finding {
	if !n.proxies() {
		return nil
	}
	socket := n.Guard.Proxy.Socket
	var all []Finding
	if !n.host.same(socket, wellKnownSocket) {
		all = append(all, Finding{
			About: "guard", Severity: Weak, Summary: fmt.Sprintf("plugins have to be told to connect to %s", socket),
			Meaning:  "Plugins connect to " + wellKnownSocket + " unless they are told otherwise, and some cannot be told. Whoever listens there instead gets them.",
			Evidence: []string{n.Guard.At("proxy.socket")},
			Fix:      &Fix{Do: "Let the guard have the well-known socket", File: n.Guard.File, Paste: "proxy: {enabled: true, socket: " + wellKnownSocket + "}"},
		})
	}
	if !n.live() {
		return all
	}
	return append(all, n.listenerOf(socket))
}

func (n *node) listenerOf(socket string) Finding {
	f := Finding{About: "guard"}
	found, known := n.listeners(socket)
	var others []string
	for _, p := range found {
		f.Evidence = append(f.Evidence, p.String()+" listens at "+socket)
		if !p.guards() {
			others = append(others, p.String())
		}
	}
	switch {
	case !known:
		f.Severity, f.Summary = Unknown, "who listens at "+socket+" cannot be told; run as root, in the node's process namespace"
	case len(others) > 0:
		f.Severity, f.Summary = FailOpen, fmt.Sprintf("%s listens at %s", strings.Join(others, ", "), socket)
		f.Meaning = "Plugins that connect there do not come through the guard."
		f.Fix = &Fix{Do: "Have the runtime listen elsewhere, restart it, and then the guard, which makes its socket anew", Paste: "systemctl restart nri-guard"}
	case len(found) == 0:
		f.Severity, f.Summary = Weak, "nobody listens at "+socket
		f.Meaning = "Plugins cannot connect, so that containers are created without them. Whoever listens there first gets them."
		f.Fix = &Fix{Do: "Start the guard", Paste: "systemctl enable --now nri-guard"}
	default:
		f.Severity, f.Summary = OK, "the guard listens at "+socket
	}
	return f
}

// checkPluginDir finds plugins that the runtime starts itself: they are given a
// connection to it and never pass the proxy.
func checkPluginDir(n *node) []Finding {
	if !n.proxies() {
		return nil
	}
	return n.each(func(r *runtime) []Finding {
		if !n.guarded(r) {
			return nil
		}
		dir, at := r.path(pluginDir)
		launch := n.Guard.Proxy.Launch
		f := Finding{
			Severity: FailOpen, Evidence: append([]string{at}, n.host.executables(dir)...),
			Summary: "it starts plugins itself, past the guard",
			Meaning: "Plugins that the runtime starts are connected to it directly. An empty path does not turn this off: it leaves the default.",
			Fix: r.set("Give the runtime a directory that stays empty, and let the guard start the plugins (proxy.launch)",
				assignment{pluginDir, emptyDir}),
		}
		switch {
		case len(f.Evidence) > 1:
		case n.host.same(dir, launch) || n.host.same(dir, r.defaults[pluginDir]):
			f.Severity, f.Summary = Weak, fmt.Sprintf("it would start whatever is put into %s, past the guard", dir)
			f.Meaning = "There is nothing in it now, but packages install plugins there. " + f.Meaning
		default:
			f = Finding{Severity: OK, Summary: "it starts no plugins: there are none in " + dir, Evidence: []string{at}}
		}
		return one(f)
	})
}

// emptyDir is a directory that need not exist, for runtimes that must start no plugins.
const emptyDir = "/var/lib/nri-guard/no-plugins"
