package document

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nri-guard/nri-guard/engine"
)

// Valid returns s with every run of bytes that is no UTF-8 replaced by U+FFFD:
// the document is text, and what is odd about a request must not keep it from
// being judged or logged.
func Valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, string(utf8.RuneError))
}

// Keys returns the keys that entries of the given names have in an object: valid
// text, and all different, so that no entry hides another. From the second of a
// name on "#2", "#3", ... is appended.
func Keys(names []string) []string {
	if ascending(names) {
		return names
	}
	seen := make(map[string]struct{}, len(names))
	for _, name := range names {
		if utf8.ValidString(name) {
			seen[name] = struct{}{}
		}
	}
	if len(seen) == len(names) {
		return names
	}
	return distinct(names, seen)
}

// ascending says whether names are valid and each is greater than the one before,
// as those of a border's review are.
func ascending(names []string) bool {
	for i, name := range names {
		if i > 0 && names[i-1] >= name || !utf8.ValidString(name) {
			return false
		}
	}
	return true
}

// distinct leaves the first entry of every valid name as it is; taken holds these
// names already.
func distinct(names []string, taken map[string]struct{}) []string {
	keys := make([]string, len(names))
	first := make(map[string]struct{}, len(names))
	for i, name := range names {
		_, again := first[name]
		if utf8.ValidString(name) && !again {
			first[name], keys[i] = struct{}{}, name
			continue
		}
		key := Valid(name)
		for n := 2; ; n++ {
			if _, ok := taken[key]; !ok {
				break
			}
			key = Valid(name) + "#" + strconv.Itoa(n)
		}
		taken[key], keys[i] = struct{}{}, key
	}
	return keys
}

// ChangeKeys returns the keys of changes in an object by name, as [Keys] does.
func ChangeKeys(changes []*engine.Change) []string {
	names := make([]string, len(changes))
	for i, c := range changes {
		names[i] = c.Key
	}
	return Keys(names)
}

// isKey says whether [Keys] could have given a change of that name this key.
func isKey(key, name string) bool {
	rest, ok := strings.CutPrefix(key, name)
	if !ok || rest == "" {
		return ok
	}
	n, err := strconv.Atoi(strings.TrimPrefix(rest, "#"))
	return rest[0] == '#' && err == nil && n > 1
}

// mask replaces the values of variables in an environment.
type mask struct {
	on     bool
	unmask []string
}

func (m mask) hides(name string) bool { return m.on && !engine.Unmasked(m.unmask, name) }

// entries masks a list of NAME=value. An entry without a name could be a value.
func (m mask) entries(env []string) []string {
	if !m.on {
		return env
	}
	env = slices.Clone(env)
	for i, entry := range env {
		name, _, ok := strings.Cut(entry, "=")
		switch {
		case !m.hides(name):
		case ok:
			env[i] = name + "=" + masked
		default:
			env[i] = masked
		}
	}
	return env
}

// change masks the values of a change of the environment.
func (m mask) change(c *engine.Change) *engine.Change {
	if c.Field != engine.Env || !m.hides(c.Key) {
		return c
	}
	hidden := *c
	if hidden.Value != nil {
		hidden.Value = masked
	}
	if hidden.Old != nil {
		hidden.Old = masked
	}
	return &hidden
}

// masked stands for the value of an environment variable.
const masked = "***"
