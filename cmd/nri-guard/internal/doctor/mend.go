package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// onCommandLine ends the place of what a flag says.
const onCommandLine = " on the command line"

// set is the fix that gives options values.
func (r *runtime) set(do string, assignments ...assignment) *Fix {
	do += "; then restart " + r.name
	if flags := r.asFlags(assignments); flags != "" {
		return &Fix{Do: do + ". It is said" + onCommandLine + ", which is over the files", Paste: flags}
	}
	return &Fix{Do: do, File: r.place(assignments), Paste: r.snippet(assignments...)}
}

// place is the file that a snippet belongs into: the one whose word is the last now, or a
// drop-in of our own behind it.
func (r *runtime) place(assignments []assignment) string {
	if file := r.sectionFile(); file != "" {
		return file
	}
	last := ""
	if r.dropIn == r.config && len(r.files) > 0 {
		last = r.files[0] // where the command line puts it
	}
	for _, file := range r.files {
		if slices.ContainsFunc(assignments, func(a assignment) bool {
			return strings.HasPrefix(r.at(a.option), file+":")
		}) {
			last = file
		}
	}
	if last == "" || r.dropIn != r.config && last < r.dropIn {
		return r.dropIn
	}
	return last
}

// at is where an option is given, "" where it is not.
func (r *runtime) at(o option) string {
	key, _, _ := r.key(o)
	return r.settings[key].at
}

// asFlags writes assignments as flags where flags have the word, "" where files do. One
// flag of Docker's has all options, and stands for all of them.
func (r *runtime) asFlags(assignments []assignment) string {
	if strings.HasSuffix(r.config, ".json") {
		return r.asOneFlag(assignments)
	}
	var lines []string
	for _, a := range assignments {
		if strings.HasSuffix(r.at(a.option), onCommandLine) {
			lines = append(lines, fmt.Sprintf("--%s=%v", r.flags[a.option], a.value))
		}
	}
	return strings.Join(lines, "\n")
}

func (r *runtime) asOneFlag(assignments []assignment) string {
	values, flagged := map[string]any{}, false
	prefix := keyOf(r.table[0], "")
	for key, s := range r.settings {
		if name, ok := strings.CutPrefix(key, prefix); ok {
			values[name] = s.value
			flagged = flagged || strings.HasSuffix(s.at, onCommandLine)
		}
	}
	if !flagged {
		return ""
	}
	for _, a := range assignments {
		values[r.keys[a.option]] = a.value
	}
	var parts []string
	for name, value := range values {
		parts = append(parts, fmt.Sprintf("%s=%v", name, value))
	}
	slices.Sort(parts)
	return "--nri-opts=" + strings.Join(parts, ",")
}
