package nri

import (
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
	after := slices.Clone(old)
	for _, m := range adjust {
		raw, marked := api.IsMarkedForRemoval(m.GetDestination())
		if i := slices.IndexFunc(after, func(o *api.Mount) bool { return o.GetDestination() == raw }); i >= 0 {
			after = slices.Delete(slices.Clone(after), i, i+1)
		}
		if marked {
			continue
		}
		if m.GetDestination() == "" {
			x.malformed("a mount without destination")
		}
		after = append(after, m)
	}
	had := newBinds(x.host, old)
	changed := changedAt(old, after, func(m *api.Mount) string { return insideRoot(m.GetDestination()) }, sameMount)
	for _, c := range changed {
		x.mount(c, had)
	}
	x.rootPropagation(adjust, changed, had)
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
		key := insideRoot(m.GetDestination())
		if strings.HasPrefix(m.GetDestination(), "-") || rootOption(m.GetOptions()) == "" ||
			slices.ContainsFunc(changed, func(c place[*api.Mount]) bool { return c.key == key }) {
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

// binds knows what the container had mounted from the host, by resolved source.
type binds struct {
	host     host
	mounts   []*api.Mount
	bySource map[string][]*engine.Mount
}

func newBinds(h host, mounts []*api.Mount) *binds { return &binds{host: h, mounts: mounts} }

// value reads a mount as the OCI runtime does and compares it with what there was.
func (b *binds) value(m *api.Mount) *engine.Mount {
	v := b.host.mount(m)
	if v.Type != "bind" {
		return v
	}
	if b.bySource == nil {
		b.bySource = make(map[string][]*engine.Mount, len(b.mounts))
		for _, o := range b.mounts {
			if old := b.host.mount(o); old.Type == "bind" {
				b.bySource[old.ResolvedSource] = append(b.bySource[old.ResolvedSource], old)
			}
		}
	}
	for _, old := range b.bySource[v.ResolvedSource] {
		if v.ResolvedSource == unresolved || v.Recursive && !old.Recursive {
			continue
		}
		v.HadSource = true
		v.HadWritable = v.HadWritable || !old.ReadOnly
		v.HadPropagation = v.HadPropagation || v.Propagation == old.Propagation
	}
	return v
}

// mount reads the options in order, the last word wins, as runc does (mount(8)
// and the OCI runtime specification, "Linux mount options"). What makes a mount
// dangerous is also found where options are glued together with commas, which some
// runtimes take apart; what makes it harmless counts only where it stands alone.
func (h host) mount(m *api.Mount) *engine.Mount {
	v := &engine.Mount{Type: m.GetType(), Source: m.GetSource(), Options: m.GetOptions()}
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
	if v.Type == "bind" {
		v.ResolvedSource = h.resolve(m.GetSource())
		v.RecursiveReadOnly = v.RecursiveReadOnly || v.ReadOnly && !v.Recursive
	}
	if remount {
		v.Type = "remount" // nothing is mounted: what lies there already gets new options
	}
	v.Layers = h.layers(m.GetOptions())
	return v
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

// layers finds the directories of an overlay, whatever the type is called.
func (h host) layers(options []string) []string {
	var dirs []string
	for _, option := range options {
		if !strings.Contains(option, "dir") {
			continue
		}
		for _, o := range splitEscaped(option, ',') {
			name, value, ok := strings.Cut(o, "=")
			if !ok {
				continue
			}
			switch strings.TrimSuffix(name, "+") {
			case "lowerdir", "datadir", "upperdir", "workdir":
				for _, dir := range splitEscaped(value, ':') {
					if dir != "" {
						dirs = append(dirs, h.resolve(dir))
					}
				}
			}
		}
	}
	return dirs
}

// splitEscaped splits at a separator that no backslash stands before. Of the
// pieces it takes the backslashes out.
func splitEscaped(s string, separator byte) []string {
	var pieces []string
	var piece strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == separator || s[i+1] == '\\'):
			i++
			piece.WriteByte(s[i])
		case s[i] == separator:
			pieces = append(pieces, piece.String())
			piece.Reset()
		default:
			piece.WriteByte(s[i])
		}
	}
	return append(pieces, piece.String())
}
