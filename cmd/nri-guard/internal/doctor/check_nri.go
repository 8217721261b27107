package doctor

import "fmt"

// checkNRI finds out which runtimes use NRI, and whether the guard is in front of each.
func checkNRI(n *node) []Finding {
	var all []Finding
	for _, r := range n.runtimes {
		if r.err == nil {
			f := n.nri(r)
			f.About = r.name
			all = append(all, f)
		}
	}
	return all
}

func (n *node) nri(r *runtime) Finding {
	on, at := r.on()
	idle, idleAt := r.idle()
	switch {
	case !on && n.Guard != nil && n.host.same(n.Guard.Runtime, r.configured()):
		return Finding{
			Severity: Weak, Summary: "NRI is off",
			Meaning:  "No plugin can change a container, and the guard has nothing to guard: it waits for a socket that never comes.",
			Evidence: []string{at},
			Fix:      r.set("To use NRI, turn it on", assignment{enable, true}),
		}
	case !on:
		return Finding{Severity: OK, Summary: "NRI is off: no plugin can change a container", Evidence: []string{at}}
	case idle:
		return Finding{Severity: OK, Summary: "NRI is not used: CRI is off, and nothing else in containerd asks plugins", Evidence: []string{idleAt}}
	case n.guarded(r):
		_, socketAt := r.socket()
		return Finding{Severity: OK, Summary: "NRI is on, and the guard is configured for it", Evidence: []string{at, socketAt}}
	}
	return n.unguarded(r, at)
}

// configured is the path of the socket, whether NRI listens or not.
func (r *runtime) configured() string {
	p, _ := r.path(socketPath)
	return p
}

// unguarded is about a runtime with NRI on that the guard does not know of.
func (n *node) unguarded(r *runtime, at string) Finding {
	socket, socketAt := r.socket()
	dir, dirAt := r.path(pluginDir)
	launched := n.host.executables(dir)
	f := Finding{
		Severity: FailOpen, Summary: "NRI is on, and nobody guards it",
		Meaning:  "What its plugins ask for reaches containers unjudged.",
		Evidence: append([]string{at, socketAt}, launched...), Fix: n.guardIt(r, socket),
	}
	if n.Problem != nil {
		f.Severity, f.Summary = Unknown, "NRI is on; whether the guard is configured for it cannot be told"
		f.Meaning = "The guard does not start with a configuration that cannot be read."
	}
	if socket == "" && len(launched) == 0 {
		f.Severity, f.Summary = Weak, "NRI is on, but lets no plugin in"
		f.Meaning = "It does not listen, and there is nothing to start. The guard cannot connect either; whatever is put into the plugin directory is not judged."
		f.Evidence = append(f.Evidence, dirAt)
	}
	if n.Guard != nil && n.works() && socket != "" {
		f.Evidence = append(f.Evidence, n.Guard.At("runtime.socket")+": the guard connects to "+n.Guard.Runtime)
	}
	return f
}

// guardIt is the fix that brings runtime and guard together. That NRI can be turned off is
// said and not offered: it would take the plugins from a node that may need them.
func (n *node) guardIt(r *runtime, socket string) *Fix {
	off := ", or turn NRI off where no plugin is needed"
	switch {
	case n.Problem != nil:
		return &Fix{Do: "Mend the guard's configuration, and look again"}
	case n.inUse() > 1:
		return &Fix{Do: "Have the guard, which serves one runtime, connect to this one" + off}
	case n.Guard == nil:
		return r.set("Configure the guard, and have the runtime listen where it connects"+off, behindProxy(r, privateSocket)...)
	case !n.works():
		return &Fix{Do: "Have the guard be validator or proxy, and look again" + off}
	case n.proxies():
		return r.set("Have it listen where the guard connects"+off, behindProxy(r, n.Guard.Runtime)...)
	case socket == "":
		return r.set("Have it listen where the guard connects"+off, listenAt(r, n.Guard.Runtime)...)
	default:
		return &Fix{Do: "Have the guard connect to it" + off, File: n.Guard.File, Paste: "runtime: {socket: " + socket + "}"}
	}
}

// listenAt makes a runtime listen at a socket.
func listenAt(r *runtime, socket string) []assignment {
	set := []assignment{{enable, true}, {socketPath, socket}}
	if off, _, _ := r.boolOf(noConnection); off {
		set = append(set, assignment{noConnection, false})
	}
	return set
}

// behindProxy makes a runtime listen at a socket, and start no plugins itself.
func behindProxy(r *runtime, socket string) []assignment {
	return append(listenAt(r, socket), assignment{pluginDir, emptyDir})
}

// checkVersion finds runtimes whose NRI does not ask validators.
func checkVersion(n *node) []Finding {
	if n.Guard == nil || n.Guard.Validator == "" {
		return nil
	}
	return n.each(func(r *runtime) []Finding {
		switch {
		case !n.guarded(r):
			return nil
		case !r.build.known:
			return one(Finding{
				Severity: Unknown, Summary: "whether it asks validators cannot be told",
				Meaning:  "Validators are asked by NRI 0.10 and later: containerd 2.2, CRI-O 1.34, dockerd 29. An older runtime refuses the guard's registration.",
				Evidence: []string{r.build.seen},
			})
		case r.build.validates():
			return one(Finding{Severity: OK, Summary: "it asks validators", Evidence: []string{r.build.seen}})
		}
		f := Finding{
			Severity: FailOpen, Summary: "it does not ask validators",
			Meaning:  "Validators are asked by NRI 0.10 and later: containerd 2.2, CRI-O 1.34, dockerd 29. This runtime refuses the guard's registration, and creates containers without it.",
			Evidence: []string{r.build.seen},
			Fix:      n.toProxy(r, "Upgrade the runtime, or use the proxy, which needs no validation"),
		}
		if n.proxies() {
			f.Severity, f.Meaning = Weak, "This runtime refuses the guard's registration as validator. The proxy holds without it, but nobody compares the merged result with what the proxy approved."
			f.Fix = &Fix{Do: "Upgrade the runtime, or turn the validator off", File: n.Guard.File, Paste: "validator: {enabled: false}"}
		}
		return one(f)
	})
}

// toProxy is the fix that puts the proxy in place of the validator. Its other half is in
// the runtime's configuration, and the findings that follow say so.
func (n *node) toProxy(r *runtime, do string) *Fix {
	return &Fix{Do: do, File: n.Guard.File, Paste: fmt.Sprintf(
		"runtime: {socket: %s}\nproxy:   {enabled: true, launch: {path: %s, config: %s}}", privateSocket, r.defaults[pluginDir], r.defaults[dropInDir])}
}

// privateSocket is where a runtime is told to listen when the guard has the well-known
// place: a directory of its own, so that a plugin that is given the other one's does not get it.
const privateSocket = "/run/nri-runtime/nri.sock"
