package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
)

// findGuardian finds the guard that runs. Of several, each for a runtime of its own, it is
// the one that was told the file that is looked at.
func (n *node) findGuardian() {
	for _, p := range n.processes {
		if !p.guards() {
			continue
		}
		same := n.reads(p)
		if n.guardian == nil || same {
			n.guardian = p
		}
		if same {
			return
		}
	}
}

// toldFile is the configuration file that a guard was told, "" where that cannot be seen.
func (n *node) toldFile(p *process) string {
	told := flag(p.args, "config")
	if told == "" || path.IsAbs(told) {
		return told
	}
	dir, err := os.Readlink(n.host.proc(strconv.Itoa(p.pid), "cwd"))
	if err != nil {
		return ""
	}
	return path.Join(dir, told)
}

// view is the file system as a process sees it: in a pod, or by its unit, it is another one.
// ok is false where it cannot be looked at.
func (n *node) view(p *process) (h host, ok bool) {
	h = host{n.host.proc(strconv.Itoa(p.pid), "root")}
	if _, err := os.Stat(h.root); err == nil {
		return h, true
	}
	return n.host, !p.inPod()
}

// reads says whether a guard was told the file that is looked at, or one that says the same.
// Where that cannot be seen, names have to do.
func (n *node) reads(p *process) bool {
	told := n.toldFile(p)
	view, ok := n.view(p)
	if told == "" || !ok {
		return told == "" || told == n.GuardFile
	}
	theirs, err := view.read(told)
	if errors.Is(err, fs.ErrPermission) {
		return told == n.GuardFile
	}
	ours, err2 := os.ReadFile(n.GuardPlace)
	if err != nil || err2 != nil {
		return err != nil && err2 != nil && told == n.GuardFile
	}
	return bytes.Equal(theirs, ours)
}

// checkInForce finds a guard that decides by something else than the file that is looked at.
func checkInForce(n *node) []Finding {
	if n.guardian == nil {
		return nil
	}
	f := Finding{
		About: "guard", Severity: FailOpen, Evidence: []string{n.guardian.String() + " was told --config " + flag(n.guardian.args, "config")},
		Meaning: "What is said here of the guard is read from " + n.GuardFile + ", which is not in force. What is in force may let anything through.",
	}
	restart := "nri-guard check --config " + n.GuardFile + " && systemctl restart nri-guard"
	switch {
	case !n.reads(n.guardian):
		told := n.toldFile(n.guardian)
		f.Summary = "the guard that runs goes by another file, " + told
		if n.guardian.inPod() {
			f.Summary += " of its pod"
		}
		f.Fix = &Fix{Do: "Look at that file, or have the guard started with this one", Paste: n.lookAt(told)}
	case n.Guard == nil || n.ready.status == "":
		return nil
	case n.ready.status == degraded:
		f.Summary = "the guard could not take up its configuration as it is now"
		f.Evidence = append(f.Evidence, n.ready.said)
		f.Fix = &Fix{Do: "Mend what it says, and restart it where it says so", Paste: restart}
	case n.ready.revision != "" && n.ready.revision != n.Guard.Revision:
		f.Summary = fmt.Sprintf("the guard goes by revision %s, and the file makes %s", n.ready.revision, n.Guard.Revision)
		f.Evidence = append(f.Evidence, n.ready.said)
		f.Fix = &Fix{Do: "If it was not changed just now, restart the guard: it was started with other files, or is of another version than this program", Paste: restart}
	default:
		return nil
	}
	return one(f)
}

// lookAt is the command that looks at the file that the guard was told.
func (n *node) lookAt(told string) string {
	command := "nri-guard doctor"
	if n.Root != "/" {
		command += " --root " + n.Root
	}
	view := n.Root
	if n.guardian.inPod() {
		view = n.host.proc(strconv.Itoa(n.guardian.pid), "root")
	}
	return command + " --config " + filepath.Join(view, told)
}
