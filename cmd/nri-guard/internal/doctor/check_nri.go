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
	if socket == "" && len(launched) == 0 {
		return Finding{
			Severity: Weak, Summary: "NRI is on, but lets no plugin in",
			Meaning:  "It does not listen, and there is nothing to start. The guard cannot connect either; whatever is put into the plugin directory is not judged.",
			Evidence: []string{at, socketAt, dirAt},
			Fix:      r.set("Turn NRI off, or let it listen for the guard", assignment{enable, false}),
		}
	}
	f := Finding{
		Severity: FailOpen, Summary: "NRI is on, and nobody guards it",
		Meaning:  "What its plugins ask for reaches containers unjudged.",
		Evidence: []string{at, socketAt},
	}
	switch {
	case n.Guard == nil || !n.works():
		f.Fix = r.set("Configure the guard, or turn NRI off", assignment{enable, false})
	case socket == "":
		f.Evidence = append(f.Evidence, launched...)
		f.Fix = r.set("Turn NRI off, or let it listen where the guard connects", listenAt(r, n.Guard.Runtime)...)
	default:
		f.Evidence = append(f.Evidence, n.Guard.At("runtime.socket")+": the guard connects to "+n.Guard.Runtime)
		f.Fix = r.set("Turn NRI off, or point the guard at it; a guard serves one runtime", assignment{enable, false})
	}
	return f
}

// listenAt makes a runtime listen at a socket.
func listenAt(r *runtime, socket string) []assignment {
	set := []assignment{{enable, true}, {socketPath, socket}}
	if _, ok := r.keys[noConnection]; ok {
		set = append(set, assignment{noConnection, false})
	}
	return set
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
