package docker

import (
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"github.com/moby/moby/api/types/mount"
)

// mounts are added, replaced and removed one after the other.
func (x *change) mounts(list []*api.Mount) {
	for _, m := range list {
		target, marked := api.IsMarkedForRemoval(m.GetDestination())
		switch {
		case !isPlain(target) || path.Clean(target) == "/":
			x.refuse("mounts[%s]: the target is no plain absolute path below the root directory", target)
		case marked:
			x.removeMount(target)
		default:
			x.addMount(path.Clean(target), m)
		}
	}
}

// isPlain says whether a path is absolute and leads Docker, which cleans it as text
// and sometimes takes a backslash for a slash, to where an OCI runtime gets by
// following it.
func isPlain(p string) bool {
	return path.IsAbs(p) && !slices.Contains(strings.Split(p, "/"), "..") && !strings.Contains(p, `\`)
}

// ownMounts are there in every container. Taking away what was put in their place
// brings them back.
var ownMounts = append([]string{
	"/dev", "/dev/mqueue", "/dev/pts", "/dev/shm", "/proc", "/sys", "/sys/fs/cgroup",
}, ownFiles...)

// ownFiles are kept up by Docker. In place of them it takes files of the host only,
// and propagates nothing.
var ownFiles = []string{"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"}

// removeMount does nothing where there is no such mount, as NRI's generator. As there
// the target must be spelt as it is shown: otherwise nobody was told of a removal.
func (x *change) removeMount(target string) {
	switch {
	case path.Clean(target) != target:
		x.refuse("mounts[-%s]: the target must read %s", target, path.Clean(target))
	case slices.Contains(ownMounts, target):
		x.refuse("mounts[-%s]: Docker mounts it by itself", target)
	case len(x.host.VolumesFrom) > 0:
		x.refuse("mounts[-%s]: other containers' volumes (VolumesFrom) cannot be told apart", target)
	default:
		x.dropMounts(target)
	}
}

// dropMounts takes a target out of everything that Docker keeps mounts in.
func (x *change) dropMounts(target string) {
	h := &x.host
	h.Binds = slices.DeleteFunc(slices.Clone(h.Binds), func(raw string) bool {
		m, err := fromBind(raw, "")
		if err != nil {
			x.refuse("mounts[%s]: %v", target, err)
			return false
		}
		return m.Destination == target
	})
	h.Mounts = slices.DeleteFunc(slices.Clone(h.Mounts), func(m mount.Mount) bool { return path.Clean(m.Target) == target })
	h.Tmpfs = maps.Clone(h.Tmpfs)
	maps.DeleteFunc(h.Tmpfs, func(k, _ string) bool { return path.Clean(k) == target })
	x.config.Volumes = maps.Clone(x.config.Volumes)
	maps.DeleteFunc(x.config.Volumes, func(k string, _ struct{}) bool { return path.Clean(k) == target })
}

// addMount leaves a mount alone that is what it was: that is no change, and Docker's
// settings may say more of it than NRI can.
func (x *change) addMount(target string, m *api.Mount) {
	if now, err := mountsOf(&x.config, &x.host, nil); err == nil && sameMount(now[target], target, m) {
		return
	}
	o := mountOptions{refusals: &x.refusals, target: target}
	kind := kindOf(m)
	o.place(kind, m.GetOptions())
	switch kind {
	case mount.TypeTmpfs:
		data := o.tmpfs(m)
		x.dropMounts(target)
		if x.host.Tmpfs == nil {
			x.host.Tmpfs = map[string]string{}
		}
		x.host.Tmpfs[target] = data
	case mount.TypeBind, mount.TypeVolume, mount.TypeImage:
		x.dropMounts(target)
		x.host.Mounts = append(x.host.Mounts, o.mount(kind, m))
	default:
		x.refuse("mounts[%s]: type %q", target, m.GetType())
	}
}

func sameMount(old *api.Mount, target string, m *api.Mount) bool {
	return old != nil && old.GetDestination() == target && old.GetType() == m.GetType() &&
		old.GetSource() == m.GetSource() && slices.Equal(old.GetOptions(), m.GetOptions())
}

// kindOf is the type of the mount; types "" and "none" leave it to the options.
func kindOf(m *api.Mount) mount.Type {
	kind := mount.Type(m.GetType())
	isBind := slices.ContainsFunc(m.GetOptions(), func(o string) bool { return o == "bind" || o == "rbind" })
	if isBind && (kind == "" || kind == "none") {
		return mount.TypeBind
	}
	return kind
}

// mountOptions translates one mount and refuses what there is no setting for.
type mountOptions struct {
	*refusals
	target string
}

func (o mountOptions) bad(what, value string) { o.refuse("mounts[%s]: %s %q", o.target, what, value) }

// place refuses what Docker does in another way at certain targets.
func (o mountOptions) place(kind mount.Type, options []string) {
	propagates := func(word string) bool { return isPropagation(word) && !strings.HasSuffix(word, "private") }
	switch {
	case o.target == "/dev":
		o.refuse("mounts[/dev]: Docker would leave out what belongs below it")
	case slices.Contains(ownFiles, o.target) && (kind != mount.TypeBind || slices.ContainsFunc(options, propagates)):
		o.refuse("mounts[%s]: Docker takes only a file of the host there, without propagation", o.target)
	}
}

func (o mountOptions) mount(kind mount.Type, m *api.Mount) mount.Mount {
	out := mount.Mount{Type: kind, Source: m.GetSource(), Target: o.target}
	switch kind {
	case mount.TypeVolume:
		o.volume(&out, m.GetOptions())
	case mount.TypeImage:
		o.image(&out, m.GetOptions())
	default:
		o.bind(&out, m.GetOptions())
	}
	return out
}

// bind reads options in order, the last word wins. But rbind is not taken back by
// bind, nor rro by rw: to the OCI runtime they are different flags.
func (o mountOptions) bind(out *mount.Mount, options []string) {
	if !isPlain(out.Source) {
		o.bad("source", out.Source)
	}
	b := &mount.BindOptions{NonRecursive: true}
	force := false
	for _, word := range options {
		switch {
		case word == "bind", word == "defaults":
		case word == "rbind":
			b.NonRecursive = false
		case word == "ro", word == "rw":
			out.ReadOnly = word == "ro"
		case word == "rro":
			force = true
		case !isPropagation(word):
			o.bad("option", word)
		}
	}
	out.ReadOnly = out.ReadOnly || force
	b.ReadOnlyForceRecursive, b.ReadOnlyNonRecursive = force, out.ReadOnly && !force
	b.Propagation = mount.Propagation(o.propagation(options))
	out.Source, out.BindOptions = path.Clean(out.Source), b
}

// propagation is the last word on it. An earlier recursive one that the last does
// not overrule in the mounts below would be lost.
func (o mountOptions) propagation(options []string) string {
	last, below := "", ""
	for _, word := range options {
		if !isPropagation(word) {
			continue
		}
		last = word
		if strings.HasPrefix(word, "r") {
			below = word
		}
	}
	if below != "" && below != last {
		o.bad("contradictory options "+below+" and", last)
	}
	return last
}

// volumeName is what Docker lets a volume be called.
var volumeName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

func (o mountOptions) volume(out *mount.Mount, options []string) {
	if out.Source != "" && !volumeName.MatchString(out.Source) {
		o.bad("name of a volume", out.Source)
	}
	v := &mount.VolumeOptions{}
	for _, word := range options {
		subpath, isSubpath := strings.CutPrefix(word, optionVolumeSubpath)
		switch {
		case word == "ro", word == "rw":
			out.ReadOnly = word == "ro"
		case word == optionNoCopy:
			v.NoCopy = true
		case isSubpath && out.Source != "" && filepath.IsLocal(subpath):
			v.Subpath = subpath
		case word != "defaults":
			o.bad("option", word)
		}
	}
	if v.NoCopy || v.Subpath != "" {
		out.VolumeOptions = v
	}
}

func (o mountOptions) image(out *mount.Mount, options []string) {
	if out.Source == "" {
		o.bad("name of an image", "")
	}
	for _, word := range options {
		subpath, isSubpath := strings.CutPrefix(word, optionImageSubpath)
		switch {
		case word == "ro", word == "rw":
			out.ReadOnly = word == "ro"
		case isSubpath && filepath.IsLocal(subpath):
			out.ImageOptions = &mount.ImageOptions{Subpath: subpath}
		case word != "defaults":
			o.bad("option", word)
		}
	}
	if !out.ReadOnly {
		o.refuse("mounts[%s]: images are mounted read-only", o.target)
	}
}

// tmpfs returns the options as HostConfig.Tmpfs has them, with what takes Docker's
// defaults back where the adjustment does not ask for the same.
func (o mountOptions) tmpfs(m *api.Mount) string {
	if s := m.GetSource(); s != "" && s != tmpfsSource {
		o.bad("source", s)
	}
	for _, word := range m.GetOptions() {
		if !isTmpfsOption(word) {
			o.bad("option", word)
		}
	}
	o.propagation(m.GetOptions())
	return strings.Join(lastWords(append([]string{"exec", "suid", "dev"}, m.GetOptions()...)), ",")
}

func isTmpfsOption(word string) bool {
	name, value, valued := strings.Cut(word, "=")
	if valued {
		return value != "" && !strings.Contains(value, ",") &&
			slices.Contains([]string{"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"}, name)
	}
	return isPropagation(word) || slices.Contains([]string{
		"defaults", "ro", "rw", "exec", "noexec", "suid", "nosuid", "dev", "nodev", "sync", "async", "dirsync",
		"atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime",
	}, word)
}
