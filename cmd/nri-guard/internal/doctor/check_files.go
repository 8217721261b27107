package doctor

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// checkFiles finds files that decide, or that run as root, and that others may write.
func checkFiles(n *node) []Finding {
	all := n.each(func(r *runtime) []Finding {
		plugins, _ := r.path(pluginDir)
		dropIns, _ := r.path(dropInDir)
		t := tester{n: n, about: r.name, meaning: "Who may write there decides what the runtime does, or runs as root."}
		for _, file := range r.files {
			t.path(file)
			t.dir(path.Dir(file))
		}
		if r.program != "" {
			t.path(r.program)
		}
		t.tree(plugins)
		t.tree(dropIns)
		return t.result("its configuration, executable and plugins are root's alone")
	})
	t := tester{n: n, about: "guard", meaning: "Who may write there decides what the guard lets through, or runs as root."}
	if n.Guard != nil {
		for _, err := range n.Guard.Untrusted {
			t.fault(err)
		}
	}
	if n.guardian != nil && !n.guardian.inPod() { // in a pod the path is one of its image
		t.path(n.guardian.exe)
	}
	if n.Guard == nil {
		return append(all, t.found...)
	}
	return append(all, t.result("its configuration, policies and plugins are root's alone")...)
}

// checkHooks looks at the directories from which runtimes take hooks and devices by name.
func checkHooks(n *node) []Finding {
	t := tester{n: n, about: "node", meaning: "Who may write there gives containers hooks, which run as root on the node, mounts and devices. An allowed CDI device brings whatever its file says."}
	for _, dir := range n.hookDirs() {
		t.tree(dir)
	}
	return t.result("the directories of hooks and CDI devices are root's alone")
}

// hookDirs are the directories that are looked at by default, and those configured.
func (n *node) hookDirs() []string {
	dirs := []string{"/etc/cdi", "/var/run/cdi", "/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d"}
	for _, r := range n.runtimes {
		for key, s := range r.settings {
			switch key[strings.LastIndex(key, "\x1f")+1:] {
			case "cdi_spec_dirs", "cdi-spec-dirs", "hooks_dir":
				dirs = append(dirs, stringsOf(s.value)...)
			}
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// tester collects what others may write.
type tester struct {
	n       *node
	about   string
	meaning string
	found   []Finding
}

func (t *tester) path(p string) { t.fault(t.n.files.Path(p)) }
func (t *tester) dir(p string)  { t.fault(t.n.files.Dir(p)) }
func (t *tester) tree(p string) { t.fault(t.n.files.Tree(p)) }

// fault takes up what a check of a file said. The message says what to run.
func (t *tester) fault(err error) {
	if err == nil {
		return
	}
	f := Finding{About: t.about, Severity: FailOpen, Summary: err.Error(), Meaning: t.meaning}
	summary, command, ok := strings.Cut(err.Error(), "; run ")
	command, file, _ := strings.Cut(command, " on it")
	switch {
	case errors.Is(err, fs.ErrPermission):
		f.Severity, f.Meaning = Unknown, "Run as root to have it looked at."
	case ok && file == "":
		f.Summary = summary
		f.Fix = &Fix{Do: "Keep others from writing it", Paste: command + " " + faulty(summary)}
	}
	if !slices.ContainsFunc(t.found, func(g Finding) bool { return g.Summary == f.Summary }) {
		t.found = append(t.found, f)
	}
}

// faulty is the file that a message of the trust package is about: what follows the first
// colon, up to what is wrong with it.
func faulty(summary string) string {
	for _, verb := range []string{" has mode ", " belongs to ", " is writable "} {
		if before, _, ok := strings.Cut(summary, verb); ok {
			return before[strings.LastIndex(before, ": ")+2:]
		}
	}
	return ""
}

// result is what was found, or that nothing was.
func (t *tester) result(fine string) []Finding {
	if len(t.found) > 0 {
		return t.found
	}
	return one(Finding{About: t.about, Severity: OK, Summary: fine})
}
