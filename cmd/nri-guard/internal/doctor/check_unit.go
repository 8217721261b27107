package doctor

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// unitName is the guard's systemd unit.
const unitName = "nri-guard.service"

// unitDirs are where systemd looks for units, the first wins.
func unitDirs() []string {
	return []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}
}

// unit is what a unit and its drop-ins say, the last word for each directive.
type unit struct {
	file    string
	said    map[string]setting
	ptrace  bounded
	enabled bool
}

// findUnit reads the guard's unit; nil where there is none.
func (n *node) findUnit() *unit {
	for _, dir := range unitDirs() {
		file := path.Join(dir, unitName)
		data, err := n.host.read(file)
		if err != nil {
			continue
		}
		u := &unit{file: file, said: map[string]setting{}, ptrace: bounded{name: "CAP_SYS_PTRACE", left: true}}
		u.take(file, string(data))
		for _, drop := range n.unitDropIns() {
			if data, err := n.host.read(drop); err == nil {
				u.take(drop, string(data))
			}
		}
		u.enabled = n.wanted()
		return u
	}
	return nil
}

// unitDropIns are in the order of their names, whatever directory they are in. Of those of
// one name the one for this unit wins, over those for several.
func (n *node) unitDropIns() []string {
	byName := map[string]string{}
	for _, units := range []string{"service", "nri-.service", unitName} {
		for _, dir := range slices.Backward(unitDirs()) {
			for _, f := range n.host.glob(path.Join(dir, units+".d", "*.conf")) {
				byName[path.Base(f)] = f
			}
		}
	}
	var names, files []string
	for name := range byName {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		files = append(files, byName[name])
	}
	return files
}

// wanted says whether another unit starts it.
func (n *node) wanted() bool {
	for _, kind := range []string{"*.wants", "*.requires", "*.upholds"} {
		for _, dir := range n.host.glob(path.Join(unitDirs()[0], kind)) {
			entries, _ := n.host.list(dir) // not to be read: wants nothing that we see
			for _, e := range entries {
				if e.Name() == unitName {
					return true
				}
			}
		}
	}
	return false
}

// take reads the directives of a unit file. An empty value takes a list back. A line
// that ends in a backslash goes on in the next one that is no comment.
func (u *unit) take(file, text string) {
	begun := ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		if part, more := strings.CutSuffix(line, "\\"); more {
			begun += part + " "
			continue
		}
		line, begun = strings.TrimSpace(begun+line), ""
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		s := setting{strings.TrimSpace(value), fmt.Sprintf("%s:%d: %s", file, i+1, line)}
		if name = strings.TrimSpace(name); name == "CapabilityBoundingSet" {
			u.ptrace.take(s)
		}
		u.said[name] = s
	}
}

// harm is a directive that takes from the guard what it needs.
type harm struct {
	directive string
	fine      []string // values that do no harm, besides none and no
	severity  Severity
	meaning   string
}

func harms() []harm {
	const view = "The guard looks mount sources and devices up on the node. What this hides from it, it cannot follow: a link there, or a device's other name, is judged by the name that the plugin gave."
	return []harm{
		{"ProtectHome", []string{"read-only"}, FailOpen, view},
		{"PrivateTmp", nil, FailOpen, view},
		{"PrivateDevices", nil, FailOpen, view},
		{"DynamicUser", nil, FailOpen, view},
		{"RootDirectory", []string{"/"}, FailOpen, view},
		{"RootImage", nil, FailOpen, view},
		{"TemporaryFileSystem", nil, FailOpen, view},
		{"InaccessiblePaths", nil, FailOpen, view},
		{"InaccessibleDirectories", nil, FailOpen, view},
		{"ProtectKernelModules", nil, FailOpen, view},
		{"ProtectKernelLogs", nil, FailOpen, view},
		{"MountFlags", []string{"shared", "slave"}, FailOpen, "The guard looks mount sources up on the node, and does not see what is mounted there after its start."},
		{"User", []string{"root"}, Weak, "The guard cannot tell who a plugin is, unless it is the same user's, and denies mounts whose sources it may not follow."},
		{"ProtectProc", []string{"default"}, Weak, "The guard reads other processes' entries in /proc to tell who a plugin is. Without them, identities never match."},
		{"ProcSubset", []string{"all"}, Weak, "The guard reads /proc/net/unix and /proc/self/mountinfo, which this hides."},
		{"PrivateUsers", nil, Weak, "The guard cannot tell who a plugin is from a user namespace of its own: users and capabilities are not the node's."},
	}
}

// checkUnit finds hardening that harms.
func checkUnit(n *node) []Finding {
	u := n.findUnit()
	if u == nil || n.Guard == nil {
		return nil
	}
	var all []Finding
	for _, h := range harms() {
		all = append(all, u.harmed(h)...)
	}
	all = append(all, u.ptrace.found()...)
	if n.Guard.Wasm {
		all = append(all, u.harmed(harm{"MemoryDenyWriteExecute", nil, Weak,
			"WebAssembly is compiled to machine code when it is loaded. Where memory cannot be made executable it is interpreted, some 80 times slower, and validators run into their time."})...)
	}
	if !u.enabled {
		all = append(all, Finding{
			About: "guard", Severity: Weak, Summary: "the guard is not started at boot",
			Evidence: []string{u.file + " is not wanted by another unit"},
			Fix:      &Fix{Do: "Enable it", Paste: "systemctl enable nri-guard"},
		})
	}
	if len(all) == 0 {
		return one(Finding{About: "guard", Severity: OK, Summary: "the systemd unit takes nothing from the guard that it needs", Evidence: []string{u.file}})
	}
	return all
}

func (u *unit) harmed(h harm) []Finding {
	s, given := u.said[h.directive]
	value, _ := s.value.(string)
	harmless := append([]string{"", "no", "false", "0", "off"}, h.fine...)
	if !given || slices.Contains(harmless, value) {
		return nil
	}
	return one(Finding{
		About: "guard", Severity: h.severity, Summary: fmt.Sprintf("the systemd unit sets %s=%s", h.directive, value),
		Meaning: h.meaning, Evidence: []string{s.at},
		Fix: &Fix{Do: "Take it back; then systemctl daemon-reload and restart", File: viewFile(),
			Paste: fmt.Sprintf("[Service]\n%s=%s", h.directive, allowed(h))},
	})
}

// viewFile is a drop-in of our own, behind those of others.
func viewFile() string { return path.Join(unitDirs()[0], unitName+".d", "zz-view.conf") }

// allowed is the value of a directive that does no harm: no, or the empty one of a path.
func allowed(h harm) string {
	switch h.directive {
	case "RootDirectory", "RootImage", "TemporaryFileSystem", "InaccessiblePaths", "InaccessibleDirectories", "MountFlags":
		return ""
	case "User", "ProtectHome", "ProtectProc", "ProcSubset":
		return h.fine[0]
	}
	return "no"
}

// staticPods is where the kubelet takes pods from that no admission sees.
const staticPods = "/etc/kubernetes/manifests"

// checkStaticPods finds a guard in a pod beside pods that start before it.
func checkStaticPods(n *node) []Finding {
	if n.Guard == nil || n.guardian == nil || !n.guardian.inPod() || n.proxies() {
		return nil
	}
	manifests, _ := n.host.list(staticPods) // none can be seen
	if len(manifests) == 0 {
		return nil
	}
	var names []string
	for _, m := range manifests {
		names = append(names, path.Join(staticPods, m.Name()))
	}
	return one(Finding{
		About: "node", Severity: Weak, Summary: "static pods start before the guard, which is a pod itself",
		Meaning:  "They are refused until it runs, or, where they tolerate its absence, created unjudged. Only a guard that systemd starts is fail-closed for them.",
		Evidence: append([]string{n.guardian.String() + " runs in a pod"}, names...),
		Fix:      &Fix{Do: "Run the guard as a systemd unit", Paste: "systemctl enable --now nri-guard"},
	})
}
