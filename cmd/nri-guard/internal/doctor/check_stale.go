package doctor

import (
	"cmp"
	"strings"
	"time"
)

// slack is how much younger than its runtime a file must be to have been changed after it was
// read: starts are known to the second, and some runtimes have their files written at the start.
const slack = 3 * time.Second

// checkRestart finds runtimes that began before their configuration was last changed. None of
// them reads what it says of NRI again.
func checkRestart(n *node) []Finding {
	var all []Finding
	for _, r := range n.runtimes {
		if r.err == nil && r.process != nil && !r.process.began.IsZero() {
			all = append(all, n.stale(r)...)
		}
	}
	return all
}

func (n *node) stale(r *runtime) []Finding {
	f := Finding{
		About: r.name, Severity: Weak, Summary: "its configuration was changed after it was started",
		Meaning:  "Now the file says nothing of NRI. If it did when the runtime read it, the runtime goes by that.",
		Evidence: []string{r.process.String() + " was started at " + moment(r.process.began)},
		Fix:      &Fix{Do: "Restart the runtime", Paste: "systemctl restart " + cmp.Or(r.process.unit(), r.unit)},
	}
	for _, file := range r.files {
		changed, ok := n.changedAfter(file, r.process.began)
		if !ok {
			continue
		}
		f.Evidence = append(f.Evidence, file+" was changed at "+moment(changed))
		if r.speaksOfNRI(file) {
			f.Severity = FailOpen
			f.Meaning = "What is said here of the runtime is read from the file as it is now. The runtime goes by what it said before, which may let anything through."
		}
	}
	if len(f.Evidence) == 1 {
		return nil
	}
	return one(f)
}

// changedAfter is when a file was changed last, if that was after a moment. A time that is
// still to come says nothing: the clock was wrong then, or is now.
func (n *node) changedAfter(file string, t time.Time) (time.Time, bool) {
	info, err := n.host.stat(file)
	if err != nil {
		return time.Time{}, false
	}
	changed := info.ModTime()
	return changed, changed.After(t.Add(slack)) && changed.Before(time.Now().Add(slack))
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// speaksOfNRI says whether a file has a word on NRI that nothing after it takes back.
func (r *runtime) speaksOfNRI(file string) bool {
	told := func(s setting) bool { return s.at == file || strings.HasPrefix(s.at, file+":") }
	for _, s := range r.ownSection(r.settings) {
		if told(s) {
			return true
		}
	}
	return told(r.settings["disabled_plugins"])
}
