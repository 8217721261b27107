package oci

import (
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/runtime-tools/generate"
	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

// generator is the lower generator that NRI's is built on. The spec is not nil.
type generator struct{ spec *rspec.Spec }

var _ generate.UnderlyingGenerator = (*generator)(nil)

// Spec returns the spec that is being adjusted.
func (g *generator) Spec() *rspec.Spec { return g.spec }

// ensure returns what *p points at, created if need be.
func ensure[T any](p **T) *T {
	if *p == nil {
		*p = new(T)
	}
	return *p
}

func (g *generator) process() *rspec.Process { return ensure(&g.spec.Process) }
func (g *generator) linux() *rspec.Linux     { return ensure(&g.spec.Linux) }
func (g *generator) hooks() *rspec.Hooks     { return ensure(&g.spec.Hooks) }

// set adds or replaces an entry of a map that may not exist yet.
func set(m *map[string]string, key, value string) {
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[key] = value
}

// put replaces the first element that matches where it stands, or appends.
func put[T any](list []T, v T, same func(T) bool) []T {
	if i := slices.IndexFunc(list, same); i >= 0 {
		list[i] = v
		return list
	}
	return append(list, v)
}

// drop removes the first element that matches, and no other.
func drop[T any](list []T, same func(T) bool) []T {
	if i := slices.IndexFunc(list, same); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

func (g *generator) AddAnnotation(key, value string) { set(&g.spec.Annotations, key, value) }

func (g *generator) RemoveAnnotation(key string) { delete(g.spec.Annotations, key) }

func (g *generator) SetProcessArgs(args []string) { g.process().Args = args }

func (g *generator) SetProcessOOMScoreAdj(adj int) { g.process().OOMScoreAdj = &adj }

// AddProcessEnv ignores a variable without a name, as no process could see it.
func (g *generator) AddProcessEnv(name, value string) {
	if name == "" {
		return
	}
	p := g.process()
	p.Env = put(p.Env, name+"="+value, func(e string) bool { return strings.HasPrefix(e, name+"=") })
}

func (g *generator) ClearProcessEnv() {
	if g.spec.Process != nil {
		g.spec.Process.Env = []string{}
	}
}

func (g *generator) AddPreStartHook(h rspec.Hook) {
	g.hooks().Prestart = append(g.hooks().Prestart, h) //nolint:staticcheck // deprecated, but plugins may ask for it
}

func (g *generator) AddPostStartHook(h rspec.Hook) {
	g.hooks().Poststart = append(g.hooks().Poststart, h)
}

func (g *generator) AddPostStopHook(h rspec.Hook) {
	g.hooks().Poststop = append(g.hooks().Poststop, h)
}

func (g *generator) Mounts() []rspec.Mount { return g.spec.Mounts }

func (g *generator) ClearMounts() { g.spec.Mounts = []rspec.Mount{} }

func (g *generator) AddMount(m rspec.Mount) { g.spec.Mounts = append(g.spec.Mounts, m) }

func (g *generator) RemoveMount(destination string) {
	g.spec.Mounts = drop(g.spec.Mounts, func(m rspec.Mount) bool { return m.Destination == destination })
}

func (g *generator) AddDevice(d rspec.LinuxDevice) {
	l := g.linux()
	l.Devices = put(l.Devices, d, func(o rspec.LinuxDevice) bool { return o.Path == d.Path })
}

func (g *generator) RemoveDevice(path string) {
	if l := g.spec.Linux; l != nil {
		l.Devices = drop(l.Devices, func(d rspec.LinuxDevice) bool { return d.Path == path })
	}
}

func (g *generator) AddLinuxSysctl(key, value string) { set(&g.linux().Sysctl, key, value) }

func (g *generator) RemoveLinuxSysctl(key string) {
	if l := g.spec.Linux; l != nil {
		delete(l.Sysctl, key)
	}
}

func (g *generator) SetLinuxCgroupsPath(path string) { g.linux().CgroupsPath = path }

func (g *generator) SetLinuxRootPropagation(propagation string) error {
	switch propagation {
	case "", "private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable":
		g.linux().RootfsPropagation = propagation
		return nil
	}
	return fmt.Errorf("unknown propagation %q of the root file system", propagation)
}

// AddOrReplaceLinuxNamespace joins the namespace at path, or makes a new one of
// the type when path is empty.
func (g *generator) AddOrReplaceLinuxNamespace(name string, path string) error {
	kind, err := namespaceType(name)
	if err != nil {
		return err
	}
	l := g.linux()
	l.Namespaces = put(l.Namespaces, rspec.LinuxNamespace{Type: kind, Path: path},
		func(n rspec.LinuxNamespace) bool { return n.Type == kind })
	return nil
}

func (g *generator) RemoveLinuxNamespace(name string) error {
	kind, err := namespaceType(name)
	if err != nil {
		return err
	}
	if l := g.spec.Linux; l != nil {
		l.Namespaces = drop(l.Namespaces, func(n rspec.LinuxNamespace) bool { return n.Type == kind })
	}
	return nil
}

// namespaceType knows the types of the OCI runtime specification, under the
// specification's names.
func namespaceType(name string) (rspec.LinuxNamespaceType, error) {
	known := []rspec.LinuxNamespaceType{
		rspec.PIDNamespace, rspec.NetworkNamespace, rspec.MountNamespace, rspec.IPCNamespace,
		rspec.UTSNamespace, rspec.UserNamespace, rspec.CgroupNamespace, rspec.TimeNamespace,
	}
	if kind := rspec.LinuxNamespaceType(name); slices.Contains(known, kind) {
		return kind, nil
	}
	return "", fmt.Errorf("unknown type %q of namespace", name)
}
