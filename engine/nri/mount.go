package nri

import (
	"maps"
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
)

// mounts records what happens at each destination. Like the generator it compares
// destinations to the letter; the change is about the place they come to.
func (x *builder) mounts(adjust, old []*api.Mount) {
	if len(adjust) == 0 {
		return
	}
	after := append(make([]*api.Mount, 0, len(old)+len(adjust)), old...)
	for _, m := range adjust {
		raw, marked := api.IsMarkedForRemoval(m.GetDestination())
		if i := slices.IndexFunc(after, func(o *api.Mount) bool { return o.GetDestination() == raw }); i >= 0 {
			after = slices.Delete(after, i, i+1)
		}
		if marked {
			continue
		}
		if m.GetDestination() == "" {
			x.malformed("a mount without destination")
		}
		after = append(after, m)
	}
	had := x.binds(old)
	changed := changedAt(old, after, mountPlace, sameMount)
	changed = append(changed, reordered(old, after, changed)...)
	had.expect(changed)
	for _, c := range changed {
		x.mount(c, &had)
	}
	x.rootPropagation(adjust, changed, &had)
}

func mountPlace(m *api.Mount) string { return insideRoot(m.GetDestination()) }

// reordered finds the places at which several mounts lie and another one of them
// comes to lie on top.
func reordered(old, after []*api.Mount, changed []place[*api.Mount]) []place[*api.Mount] {
	var seen sieve
	if !slices.ContainsFunc(old, func(m *api.Mount) bool { return seen.doubtful(mountPlace(m)) }) {
		return nil
	}
	top := func(list []*api.Mount) map[string]*api.Mount {
		m := make(map[string]*api.Mount, len(list))
		for _, o := range list {
			m[mountPlace(o)] = o
		}
		return m
	}
	was := top(old)
	if len(was) == len(old) {
		return nil
	}
	is := top(after)
	var places []place[*api.Mount]
	for _, key := range slices.Sorted(maps.Keys(is)) {
		known := slices.ContainsFunc(changed, func(c place[*api.Mount]) bool { return c.key == key })
		if before, ok := was[key]; ok && !known && !sameMount(before, is[key]) {
			places = append(places, place[*api.Mount]{key: key, old: before, hasOld: true, added: []*api.Mount{is[key]}})
		}
	}
	return places
}

func (x *builder) mount(c place[*api.Mount], had *binds) {
	var old any
	if c.hasOld {
		old = had.value(c.old)
	}
	if len(c.added) == 0 {
		x.diff(engine.MountPoint, c.key, old, nil, compound(api.Field_Mounts, c.old.GetDestination()))
		return
	}
	for _, m := range c.added {
		x.diff(engine.MountPoint, c.key, old, had.value(m), compound(api.Field_Mounts, m.GetDestination()))
	}
}

// rootPropagation records mounts that are what they were but whose options make
// the generator change the propagation of the container's root, which nothing
// else in the list would show.
func (x *builder) rootPropagation(adjust []*api.Mount, changed []place[*api.Mount], had *binds) {
	for _, m := range adjust {
		if strings.HasPrefix(m.GetDestination(), "-") || rootOption(m.GetOptions()) == "" {
			continue
		}
		key := mountPlace(m)
		if slices.ContainsFunc(changed, func(c place[*api.Mount]) bool { return c.key == key }) {
			continue
		}
		v := had.value(m)
		x.diff(engine.MountPoint, key, v, v, compound(api.Field_Mounts, m.GetDestination()))
	}
}

func sameMount(a, b *api.Mount) bool {
	return a.GetDestination() == b.GetDestination() && a.GetType() == b.GetType() &&
		a.GetSource() == b.GetSource() && slices.Equal(a.GetOptions(), b.GetOptions())
}

// binds knows what the container had mounted from the host.
type binds struct {
	host   host
	mounts []*api.Mount
	// sources are where the sources of mounts lead to, "" for what is no bind mount.
	sources []string
	// read are the mounts that a source was found among.
	read   []*engine.Mount
	places *Places
	links  []link
	looked bool // whether links were looked for
	// room is for values that are expected.
	room []engine.Mount
}

func (x *builder) binds(mounts []*api.Mount) binds {
	return binds{host: x.host(), mounts: mounts, places: x.border.Places}
}

// expect makes room for the values of changes.
func (b *binds) expect(changed []place[*api.Mount]) {
	n := 0
	for _, c := range changed {
		n += len(c.added)
		if c.hasOld {
			n++
		}
	}
	b.room = make([]engine.Mount, 0, n)
}

// value reads a mount as the OCI runtime does and compares it with what there was.
func (b *binds) value(m *api.Mount) *engine.Mount {
	if len(b.room) == cap(b.room) {
		b.room = make([]engine.Mount, 0, 1)
	}
	b.room = append(b.room, b.host.mount(m))
	v := &b.room[len(b.room)-1]
	v.Aliases = b.aliases(v)
	if v.Type == "bind" {
		b.compare(v)
	}
	return v
}

func (b *binds) compare(v *engine.Mount) {
	if b.sources == nil {
		b.sources = make([]string, len(b.mounts))
		for i, o := range b.mounts {
			if old := b.host.mount(o); old.Type == "bind" {
				b.sources[i] = old.ResolvedSource
			}
		}
	}
	if v.ResolvedSource == unresolved {
		return
	}
	for i, source := range b.sources {
		if source != v.ResolvedSource {
			continue
		}
		old := b.had(i)
		if loosened(old, v) {
			continue
		}
		v.HadSource = true
		v.HadWritable = v.HadWritable || !old.ReadOnly
		v.HadPropagation = v.HadPropagation || v.Propagation == old.Propagation
	}
}

// had reads a mount of the container when it is first asked for.
func (b *binds) had(i int) *engine.Mount {
	if b.read == nil {
		b.read = make([]*engine.Mount, len(b.mounts))
	}
	if b.read[i] == nil {
		v, _ := readOptions(b.mounts[i])
		b.read[i] = &v
	}
	return b.read[i]
}

// loosened says whether a mount lets more through than another of the same source
// did, in ways that no rule looks at by itself.
func loosened(old, v *engine.Mount) bool {
	if v.Recursive && (!old.Recursive || old.RecursiveReadOnly && !v.RecursiveReadOnly) {
		return true
	}
	for _, o := range []string{"nosuid", "nodev", "noexec"} {
		if slices.Contains(old.Options, o) && !slices.Contains(v.Options, o) {
			return true
		}
	}
	return false
}

// mount reads a mount and looks up on the host what it shows.
func (h host) mount(m *api.Mount) engine.Mount {
	v, bind := readOptions(m)
	if bind {
		v.ResolvedSource = h.resolve(m.GetSource())
	}
	v.Layers = h.layers(m.GetOptions())
	return v
}

// readOptions reads the options in order, the last word wins, as runc does (mount(8)
// and the OCI runtime specification, "Linux mount options"). What makes a mount
// dangerous is also found where options are glued together with commas, which some
// runtimes take apart; what makes it harmless counts only where it stands alone.
func readOptions(m *api.Mount) (v engine.Mount, bind bool) {
	v = engine.Mount{Type: m.GetType(), Source: m.GetSource(), Options: m.GetOptions()}
	recursiveAttr, remount := "", false
	for _, option := range m.GetOptions() {
		single := !strings.Contains(option, ",")
		for o := range strings.SplitSeq(option, ",") {
			switch o {
			case "bind":
				v.Type = "bind"
			case "rbind":
				v.Type, v.Recursive = "bind", true
			case "remount":
				remount = true
			case "ro":
				v.ReadOnly = v.ReadOnly || single
			case "rw":
				v.ReadOnly = false
			case "rro":
				if single {
					recursiveAttr = o
				}
			case "rrw":
				recursiveAttr = o
			case "private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable":
				if single || v.Propagation == "" {
					v.Propagation = o
				}
			}
		}
	}
	// Recursive attributes are set last of all, on the mount itself too.
	switch recursiveAttr {
	case "rro":
		v.ReadOnly, v.RecursiveReadOnly = true, true
	case "rrw":
		v.ReadOnly = false
	}
	if root := rootOption(m.GetOptions()); root != "" {
		v.Propagation = root
	}
	if bind = v.Type == "bind"; bind {
		v.RecursiveReadOnly = v.RecursiveReadOnly || v.ReadOnly && !v.Recursive
	}
	if remount {
		v.Type = "remount" // nothing is mounted: what lies there already gets new options
	}
	return v, bind
}

// rootOption is the option that makes the generator change the propagation of the
// container's root: it takes the last of rprivate, rshared and rslave.
func rootOption(options []string) string {
	root := ""
	for _, o := range options {
		switch o {
		case "rprivate":
			root = ""
		case "rshared", "rslave":
			root = o
		}
	}
	return root
}

// maxLayers is how many directories of an overlay are looked at; the kernel takes
// no more than 500 (fs/overlayfs, OVL_MAX_STACK).
const maxLayers = 500

// layers finds the directories of an overlay, whatever the type is called. A
// backslash takes the meaning from the separator behind it, by rules that differ
// between the runtime, the mount program and the kernel: what has one in it could
// be any directory.
func (h host) layers(options []string) []string {
	var dirs []string
	for _, option := range options {
		if !strings.Contains(option, "dir") {
			continue
		}
		for o := range strings.SplitSeq(option, ",") {
			name, value, _ := strings.Cut(o, "=")
			switch strings.TrimSuffix(name, "+") {
			case "lowerdir", "datadir", "upperdir", "workdir":
				dirs = h.appendLayers(dirs, value)
			}
		}
	}
	if len(dirs) > 0 && strings.Contains(strings.Join(options, ","), `\`) {
		dirs = append(dirs, unresolved)
	}
	return dirs
}

func (h host) appendLayers(dirs []string, list string) []string {
	for dir := range strings.SplitSeq(list, ":") {
		switch {
		case len(dirs) > maxLayers:
			return dirs
		case len(dirs) == maxLayers:
			dirs = append(dirs, unresolved)
		case dir != "":
			dirs = append(dirs, h.resolve(dir))
		}
	}
	return dirs
}
