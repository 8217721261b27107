package doctor

import (
	"fmt"
	"maps"
	"reflect"
	"strings"
)

// replace puts the settings of a later file over those before it, as containerd 1 does: where
// both have the section of a plugin, nothing of the earlier one is left.
func (s settings) replace(later settings) {
	sections := map[string]bool{}
	for key := range later {
		sections[section(key)] = true
	}
	maps.DeleteFunc(s, func(key string, _ setting) bool {
		name := section(key)
		return name != "" && sections[name]
	})
	maps.Copy(s, later)
}

// section is the plugin of containerd's that a key belongs to, "" for none.
func section(key string) string {
	parts := strings.SplitN(key, "\x1f", 3)
	if len(parts) < 2 || parts[0] != "plugins" {
		return ""
	}
	return parts[1]
}

// settle takes the settings as the version of containerd reads them. It says why they
// cannot be told: the version is not known, and it matters.
func (r *runtime) settle() (why string) {
	switch {
	case r.err != nil || r.replaced == nil:
	case r.build.old():
		r.settings = r.replaced
	case r.build.known || r.third || sameValues(r.ownSection(r.settings), r.ownSection(r.replaced)):
	default:
		return fmt.Sprintf("several of its files have a section %s: containerd 1 takes the last alone, containerd 2 all of them, and which it is cannot be told (%s); what follows is for containerd 2. Have the section in one file",
			strings.Join(r.table, "."), r.build.seen)
	}
	return ""
}

// ownSection are the settings of NRI.
func (r *runtime) ownSection(s settings) settings {
	own := settings{}
	for key, v := range s {
		if strings.HasPrefix(key, keyOf(r.table...)+"\x1f") {
			own[key] = v
		}
	}
	return own
}

func sameValues(a, b settings) bool {
	return maps.EqualFunc(a, b, func(x, y setting) bool { return reflect.DeepEqual(x.value, y.value) })
}

// sectionFile is the file whose section of NRI containerd 1 takes, "" where none has one or
// the sections of all files count.
func (r *runtime) sectionFile() string {
	if !r.build.old() {
		return ""
	}
	for _, file := range r.files {
		for key, v := range r.settings {
			if section(key) == r.table[len(r.table)-1] && (v.at == file || strings.HasPrefix(v.at, file+":")) {
				return file
			}
		}
	}
	return ""
}
