package document

import (
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

// inOrder says whether the keys of changes are the names as they are; see [ascending].
func inOrder(changes []*engine.Change) bool {
	for i, c := range changes {
		if i > 0 && changes[i-1].Key >= c.Key || !utf8.ValidString(c.Key) {
			return false
		}
	}
	return true
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
