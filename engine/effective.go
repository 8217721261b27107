package engine

import (
	"path"
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"
)

// Effective returns a copy of the container with the review's changes applied,
// those of other containers left aside. Where a review holds two changes of one
// key, the last one wins.
//
// NRI's container has no place for a memory policy, and an eviction changes nothing
// in it; neither shows.
func Effective(r *Review) *api.Container {
	e := effect{cloneContainer(r.Container)}
	for _, c := range r.Changes {
		if c.Container == r.Container.GetId() {
			e.apply(c)
		}
	}
	return e.Container
}

// cloneContainer makes a deep copy by way of the wire format, which cannot fail on
// bytes of its own making.
func cloneContainer(c *api.Container) *api.Container {
	clone := &api.Container{}
	if bytes, err := c.MarshalVT(); err == nil {
		_ = clone.UnmarshalVT(bytes)
	}
	return clone
}

// effect is a container that changes are applied to.
type effect struct{ *api.Container }

func (e effect) apply(c *Change) {
	switch c.Field {
	case Annotation:
		setKey(&e.Annotations, c, c.Key, valueOf[string](c))
	case Args:
		e.Args = valueOf[[]string](c)
	case CDI:
		setEntry(&e.CDIDevices, c, &api.CDIDevice{Name: c.Key}, func(d *api.CDIDevice) bool { return d.GetName() == c.Key })
	case Env:
		e.env(c)
	case MountPoint:
		e.mount(c)
	case OCIHook:
		e.hook(c)
	case POSIXRlimit:
		v := structOf[Rlimit](c)
		setEntry(&e.Rlimits, c, &api.POSIXRlimit{Type: c.Key, Hard: v.Hard, Soft: v.Soft},
			func(l *api.POSIXRlimit) bool { return l.GetType() == c.Key })
	case Eviction, MemoryPolicy, Unknown:
	default:
		if e.Linux == nil {
			e.Linux = &api.LinuxContainer{}
		}
		linuxEffect{e.Linux}.apply(c)
	}
}

func (e effect) env(c *Change) {
	setEntry(&e.Env, c, c.Key+"="+valueOf[string](c), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return name == c.Key
	})
}

func (e effect) mount(c *Change) {
	v := structOf[Mount](c)
	m := &api.Mount{Destination: c.Key, Type: v.Type, Source: v.Source, Options: v.Options}
	setEntry(&e.Mounts, c, m, func(m *api.Mount) bool { return path.Clean("/"+m.GetDestination()) == c.Key })
}

// hook appends a hook to its stage; nothing takes hooks away.
func (e effect) hook(c *Change) {
	v := structOf[Hook](c)
	h := &api.Hook{Path: v.Path, Args: v.Args, Env: v.Env}
	if v.Timeout != 0 {
		h.Timeout = &api.OptionalInt{Value: v.Timeout}
	}
	if e.Hooks == nil {
		e.Hooks = &api.Hooks{}
	}
	stage := map[string]*[]*api.Hook{
		"prestart":        &e.Hooks.Prestart,
		"createRuntime":   &e.Hooks.CreateRuntime,
		"createContainer": &e.Hooks.CreateContainer,
		"startContainer":  &e.Hooks.StartContainer,
		"poststart":       &e.Hooks.Poststart,
		"poststop":        &e.Hooks.Poststop,
	}[c.Key]
	if stage != nil && c.Op != Remove {
		*stage = append(*stage, h)
	}
}

// valueOf returns what will be there, the zero value where that is nothing.
func valueOf[T any](c *Change) T {
	v, _ := c.Value.(T)
	return v
}

// structOf is valueOf for the values that changes hold pointers to.
func structOf[T any](c *Change) T {
	if v := valueOf[*T](c); v != nil {
		return *v
	}
	var zero T
	return zero
}

// setKey applies a change to an entry of a map.
func setKey[T any](m *map[string]T, c *Change, key string, value T) {
	if c.Op == Remove {
		delete(*m, key)
		return
	}
	if *m == nil {
		*m = make(map[string]T)
	}
	(*m)[key] = value
}

// setEntry applies a change to a list: what was at its place goes, and a new entry
// takes the place of the first of them, or else is appended.
func setEntry[T any](list *[]T, c *Change, entry T, same func(T) bool) {
	at := slices.IndexFunc(*list, same)
	*list = slices.DeleteFunc(*list, same)
	if c.Op == Remove {
		return
	}
	if at < 0 {
		at = len(*list)
	}
	*list = slices.Insert(*list, at, entry)
}
