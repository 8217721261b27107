package docker

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
)

// Options of volumes and images that mount(8) does not know. They are spelt as in
// docker run --mount.
const (
	optionNoCopy        = "nocopy"
	optionVolumeSubpath = "volume-subpath="
	optionVolumeDriver  = "volume-driver="
	optionVolumeOption  = "volume-opt="
	optionImageSubpath  = "image-subpath="
)

// tmpfsSource is what Docker calls the source of every tmpfs.
const tmpfsSource = "tmpfs"

// mountsOf returns what is mounted at each target, by cleaned path. What Docker
// lets win comes last: volumes that the image declares, mount points that exist
// (which tells of other containers' volumes too), Binds, Mounts, Tmpfs.
func mountsOf(config *container.Config, host *container.HostConfig, points []container.MountPoint) (map[string]*api.Mount, error) {
	at := map[string]*api.Mount{}
	put := func(m *api.Mount) { at[m.Destination] = m }
	var errs []error
	for target := range config.Volumes {
		put(&api.Mount{Destination: path.Clean(target), Type: string(mount.TypeVolume)})
	}
	for _, p := range points {
		put(fromPoint(p))
	}
	for _, raw := range host.Binds {
		m, err := fromBind(raw, host.VolumeDriver)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		put(m)
	}
	for _, m := range host.Mounts {
		put(fromMount(m))
	}
	for target, data := range host.Tmpfs {
		put(fromTmpfs(target, data))
	}
	return at, errors.Join(errs...)
}

func sortedMounts(at map[string]*api.Mount) []*api.Mount {
	var list []*api.Mount
	for _, target := range slices.Sorted(maps.Keys(at)) {
		list = append(list, at[target])
	}
	return list
}

func fromPoint(p container.MountPoint) *api.Mount {
	m := &api.Mount{Destination: path.Clean(p.Destination), Type: string(p.Type), Source: p.Source}
	switch p.Type {
	case mount.TypeBind:
		m.Options = []string{"rbind"}
	case mount.TypeTmpfs:
		m.Source = tmpfsSource
	case mount.TypeVolume, mount.TypeImage, mount.TypeCluster, mount.TypeNamedPipe:
		if p.Name != "" {
			m.Source = p.Name
		}
	}
	if !p.RW {
		m.Options = append(m.Options, "ro")
	}
	if p.Propagation != "" {
		m.Options = append(m.Options, string(p.Propagation))
	}
	return m
}

// fromBind reads SOURCE:TARGET[:OPTIONS], or TARGET alone for a nameless volume.
func fromBind(raw, volumeDriver string) (*api.Mount, error) {
	bad := func(why string) error { return fmt.Errorf("HostConfig.Binds: %q %s", raw, why) }
	parts := strings.Split(raw, ":")
	var source, target, words string
	switch len(parts) {
	case 1:
		target = parts[0]
	case 2:
		source, target = parts[0], parts[1]
	case 3:
		source, target, words = parts[0], parts[1], parts[2]
	default:
		return nil, bad("has too many colons")
	}
	if !path.IsAbs(target) || len(parts) > 1 && source == "" {
		return nil, bad("does not read SOURCE:TARGET[:OPTIONS] with an absolute target")
	}
	m := &api.Mount{Destination: path.Clean(target), Type: string(mount.TypeVolume), Source: source}
	isBind := path.IsAbs(source)
	propagation := ""
	var rest []string
	for word := range strings.SplitSeq(words, ",") {
		switch {
		case word == "", word == "rw", isConsistency(word):
		case isPropagation(word):
			propagation = word
		case word == "ro", word == "z", word == "Z", word == optionNoCopy && !isBind:
			rest = append(rest, word)
		default:
			return nil, bad(fmt.Sprintf("has an unknown option %q", word))
		}
	}
	switch {
	case isBind:
		m.Type, m.Source = string(mount.TypeBind), path.Clean(source)
		m.Options = append(m.Options, "rbind", orPrivate(propagation))
	case volumeDriver != "":
		m.Options = append(m.Options, optionVolumeDriver+volumeDriver)
	}
	m.Options = append(m.Options, rest...)
	return m, nil
}

// orPrivate is the propagation that Docker gives to a bind mount.
func orPrivate(propagation string) string {
	if propagation == "" {
		return string(mount.PropagationRPrivate)
	}
	return propagation
}

func isPropagation(word string) bool {
	return slices.Contains(mount.Propagations, mount.Propagation(word))
}

// isConsistency knows words that mean nothing on Linux.
func isConsistency(word string) bool {
	return slices.Contains([]mount.Consistency{
		mount.ConsistencyFull, mount.ConsistencyCached, mount.ConsistencyDelegated,
	}, mount.Consistency(word))
}

// fromMount shows what the OCI runtime is told at least: a mount that Docker makes
// recursively read-only where the kernel can is shown as read-only.
func fromMount(m mount.Mount) *api.Mount {
	out := &api.Mount{Destination: path.Clean(m.Target), Type: string(m.Type), Source: m.Source}
	readOnly := m.ReadOnly
	switch m.Type {
	case mount.TypeBind:
		out.Source = path.Clean(m.Source)
		return bindOptions(out, readOnly, m.BindOptions)
	case mount.TypeTmpfs:
		return fromTmpfs(m.Target, tmpfsData(m.TmpfsOptions, readOnly))
	case mount.TypeVolume:
		out.Options = volumeOptions(m.VolumeOptions)
	case mount.TypeImage:
		readOnly = true // Docker knows no other
		if m.ImageOptions != nil && m.ImageOptions.Subpath != "" {
			out.Options = append(out.Options, optionImageSubpath+m.ImageOptions.Subpath)
		}
	case mount.TypeCluster, mount.TypeNamedPipe:
	}
	if readOnly {
		out.Options = append(out.Options, "ro")
	}
	return out
}

func bindOptions(out *api.Mount, readOnly bool, o *mount.BindOptions) *api.Mount {
	if o == nil {
		o = &mount.BindOptions{}
	}
	how := "rbind"
	if o.NonRecursive {
		how = "bind"
	}
	out.Options = append(out.Options, how, orPrivate(string(o.Propagation)))
	switch {
	case readOnly && o.ReadOnlyForceRecursive:
		out.Options = append(out.Options, "rro")
	case readOnly:
		out.Options = append(out.Options, "ro")
	}
	return out
}

func volumeOptions(o *mount.VolumeOptions) []string {
	if o == nil {
		return nil
	}
	var options []string
	if o.NoCopy {
		options = append(options, optionNoCopy)
	}
	if o.Subpath != "" {
		options = append(options, optionVolumeSubpath+o.Subpath)
	}
	if d := o.DriverConfig; d != nil {
		if d.Name != "" {
			options = append(options, optionVolumeDriver+d.Name)
		}
		for _, k := range slices.Sorted(maps.Keys(d.Options)) {
			options = append(options, optionVolumeOption+k+"="+d.Options[k])
		}
	}
	return options
}

// tmpfsData writes the options of a tmpfs as HostConfig.Tmpfs has them.
func tmpfsData(o *mount.TmpfsOptions, readOnly bool) string {
	var words []string
	if readOnly {
		words = append(words, "ro")
	}
	if o == nil {
		return strings.Join(words, ",")
	}
	if o.Mode != 0 {
		words = append(words, fmt.Sprintf("mode=%o", uint32(o.Mode)))
	}
	if o.SizeBytes != 0 {
		words = append(words, "size="+strconv.FormatInt(o.SizeBytes, 10))
	}
	for _, option := range o.Options {
		words = append(words, strings.Join(option, "="))
	}
	return strings.Join(words, ",")
}

// tmpfsDefaults are the options that Docker begins with for every tmpfs.
func tmpfsDefaults() []string { return []string{"noexec", "nosuid", "nodev", "rprivate"} }

func fromTmpfs(target, data string) *api.Mount {
	return &api.Mount{
		Destination: path.Clean(target), Type: string(mount.TypeTmpfs), Source: tmpfsSource,
		Options: lastWords(append(tmpfsDefaults(), strings.Split(data, ",")...)),
	}
}

// lastWords keeps, of options that overrule one another, the last one.
func lastWords(options []string) []string {
	var kept []string
	decided := map[string]bool{}
	for _, o := range slices.Backward(options) {
		if o == "" || o == "defaults" || decided[aspect(o)] {
			continue
		}
		decided[aspect(o)] = true
		kept = append(kept, o)
	}
	slices.Reverse(kept)
	return kept
}

// aspect names what an option decides: options with the same aspect overrule one
// another.
func aspect(option string) string {
	name, _, _ := strings.Cut(option, "=")
	switch {
	case isPropagation(name):
		return "propagation"
	case name == "rw":
		return "ro"
	case name == "async":
		return "sync"
	}
	return strings.TrimPrefix(name, "no")
}
