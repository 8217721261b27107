package engine

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/nri/pkg/api"
)

// Grant lets a plugin make changes that the profile would not let through. It is
// exact: everything that it names must match, and what it does not name it does
// not lift. [Grant.Check] tells what a field demands to be named.
type Grant struct {
	// Plugin is the name of the plugin, without its index.
	Plugin string
	// Identity, when set, must match what was observed of the plugin; where
	// nothing was observed the grant does not match.
	Identity *IdentityMatch
	// Namespaces are patterns, as of [path.Match], one of which the namespace of
	// the changed container's pod must match. None means everywhere.
	Namespaces []string

	// Field that may change.
	Field Field
	// Ops that may be done; none means add and replace. A removal is granted only
	// where it is named.
	Ops []Op
	// Keys are patterns, as of [path.Match], one of which the change's key must
	// match: a star does not cross a slash.
	Keys []string
	// Values are patterns, as of [path.Match] but with stars that cross slashes,
	// one of which the value must match, where it is a string, a scheduler's
	// policy, a class of I/O priority, a RDT class, a memory policy's mode, the
	// listener of a seccomp profile, the new name of a network device. For device
	// rules they are rules in the cgroup's notation ("c 195:* rw"), one of which
	// must cover the change. None means any.
	Values []string
	// Min and Max are the bounds of a number; for rlimits of soft and hard limit. A
	// resource below zero is one without a limit: Max alone does not grant it.
	Min, Max *float64

	// Sources are directories or files of the host, one of which must be the
	// resolved source of a bind mount, or lie above it; the same for every layer
	// of an overlay, and for the source of a mount of another type that is a path,
	// such as a disk's. The source of a tmpfs is only a name.
	Sources []string
	// ReadOnly, when set, is what the mount itself must be; see [Mount.ReadOnly].
	ReadOnly *bool
	// Types a mount may have. None means bind and overlay where Sources are given,
	// else tmpfs.
	Types []string
	// Propagation a mount may ask for besides none, private and rprivate.
	Propagation []string

	// Path is the executable of a hook, or the file of a namespace.
	Path string
	// Args are the arguments of a hook, or of the container's process, to the letter
	// and with the program's name first. None means, for a hook, that there may be
	// its program's name and nothing else.
	Args []string
	// Env is a hook's environment, to the letter.
	Env []string

	// HostPaths are patterns for the host's device nodes; none means Keys.
	HostPaths []string
}

// IdentityMatch says who a plugin must be. Zero members are not compared.
type IdentityMatch struct {
	Exe    string
	SHA256 string
	UID    *int64
}

// Matches says whether the identity is known and as demanded.
func (m *IdentityMatch) Matches(id *Identity) bool {
	if m == nil {
		return true
	}
	return id != nil &&
		(m.Exe == "" || m.Exe == id.Exe) &&
		(m.SHA256 == "" || strings.EqualFold(m.SHA256, id.SHA256)) &&
		(m.UID == nil || *m.UID == id.UID)
}

// systemDestinations decide how the processes of a container run. A grant that
// names no destination does not reach them.
var systemDestinations = []string{
	"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32",
	"/proc", "/root", "/run", "/sbin", "/sys", "/usr", "/var/run",
}

// Check returns an error that says what is missing from or wrong with a grant.
func (g *Grant) Check() error {
	spec, ok := g.Field.Spec()
	if !ok {
		names := make([]string, len(fields))
		for i, f := range fields {
			names[i] = string(f.Field)
		}
		return fmt.Errorf("unknown field %q; there are %s", g.Field, strings.Join(names, ", "))
	}
	for _, op := range g.Ops {
		if !slices.Contains(Ops(), op) {
			return fmt.Errorf("unknown op %q; there are add, replace and remove", op)
		}
	}
	for _, p := range slices.Concat(g.Keys, g.Namespaces, g.HostPaths, g.Values) {
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("pattern %q: %w", p, err)
		}
	}
	for _, s := range g.Sources {
		if !path.IsAbs(s) || path.Clean(s) != s {
			return fmt.Errorf("source %q must be an absolute path without ., .. or a slash at its end", s)
		}
	}
	return g.checkField(spec)
}

func (g *Grant) checkField(spec FieldSpec) error {
	only := func(name string, set bool, in ...Field) error {
		if set && !slices.Contains(in, g.Field) {
			return fmt.Errorf("%s means nothing for field %s", name, g.Field)
		}
		return nil
	}
	needs := func(name string, set bool, in ...Field) error {
		if !set && slices.Contains(in, g.Field) {
			return fmt.Errorf("a grant for field %s needs %s", g.Field, name)
		}
		return nil
	}
	numbers := []Field{OOMScoreAdj, Resource, POSIXRlimit}
	errs := []error{
		only("keys", len(g.Keys) > 0 && spec.Key == ""),
		only("sources", len(g.Sources) > 0, MountPoint),
		only("readOnly", g.ReadOnly != nil, MountPoint),
		only("types", len(g.Types) > 0, MountPoint),
		only("propagation", len(g.Propagation) > 0, MountPoint),
		only("path", g.Path != "", OCIHook, Namespaces),
		only("args", len(g.Args) > 0, OCIHook, Args),
		only("env", len(g.Env) > 0, OCIHook),
		only("hostPaths", len(g.HostPaths) > 0, DeviceNode),
		only("min and max", g.Min != nil || g.Max != nil, numbers...),
		only("values", len(g.Values) > 0 && slices.Contains([]Field{
			Args, CDI, DeviceNode, Eviction, MountPoint, Namespaces, OCIHook, OOMScoreAdj, POSIXRlimit, Unknown}, g.Field)),
		needs("path", g.Path != "", OCIHook),
		needs("args", len(g.Args) > 0 || slices.Contains(g.Ops, Remove), Args),
		needs("values", len(g.Values) > 0, DeviceCgroup, CgroupsPath),
		needs("min or max", g.Min != nil || g.Max != nil, OOMScoreAdj),
		needs("keys or sources", len(g.Keys)+len(g.Sources) > 0, MountPoint),
		needs("keys", len(g.Keys) > 0, Annotation, CDI, DeviceNode, Env, Eviction, OCIHook,
			Namespaces, NetDevice, Resource, POSIXRlimit, Sysctl, Unknown),
	}
	if g.Min != nil && g.Max != nil && *g.Min > *g.Max {
		errs = append(errs, fmt.Errorf("min %v is above max %v", *g.Min, *g.Max))
	}
	for _, t := range g.Types {
		if (t == "bind" || t == "overlay") && len(g.Sources) == 0 {
			errs = append(errs, fmt.Errorf("a grant for mounts of type %s needs sources", t))
		}
	}
	for _, v := range g.Values {
		if g.Field == DeviceCgroup {
			_, err := parseDeviceRule(v)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// mark sets Granted on every change of the review.
func (rules *Rules) mark(r *Review) {
	for _, c := range r.Changes {
		c.Granted = rules.granted(r, c)
	}
	// The rule that the runtime adds for a device stands and falls with it.
	for _, c := range r.Changes {
		if c.Field == DeviceCgroup && c.ImpliedBy != "" && !c.Granted {
			c.Granted = slices.ContainsFunc(r.Changes, func(d *Change) bool {
				return d.Field == DeviceNode && d.Granted && d.Key == c.ImpliedBy &&
					d.Container == c.Container && coversDevice(c, d)
			})
		}
	}
}

func coversDevice(rule, device *Change) bool {
	r, ok1 := rule.Value.(*DeviceRule)
	d, ok2 := device.Value.(*Device)
	return ok1 && ok2 && r.Major != nil && r.Minor != nil && *r.Major == d.Major && *r.Minor == d.Minor && r.Type == d.Type
}

// granted says whether each plugin responsible for the change has a grant for it.
// Where nobody in particular is, that means every plugin that was consulted.
func (rules *Rules) granted(r *Review, c *Change) bool {
	if len(rules.Grants) == 0 {
		return false
	}
	responsible := c.Owners
	if len(responsible) == 0 {
		responsible = r.Plugins
	}
	for _, p := range responsible {
		if !slices.ContainsFunc(rules.Grants, func(g Grant) bool { return g.matches(p, c) }) {
			return false
		}
	}
	return len(responsible) > 0
}

func (g *Grant) matches(p Plugin, c *Change) bool {
	return g.Field == c.Field &&
		g.Plugin == p.Name &&
		g.Identity.Matches(p.Identity) &&
		inNamespaces(g.Namespaces, c) &&
		g.matchesOp(c.Op) &&
		(len(g.Keys) == 0 || matchAny(g.Keys, c.Key)) &&
		g.matchesWhat(c)
}

// matchesWhat compares what will be there. Of a removal, keys say what goes; a
// mount is also known by the source that it had.
func (g *Grant) matchesWhat(c *Change) bool {
	if c.Op != Remove {
		return g.matchesValue(c)
	}
	if len(g.Sources) == 0 {
		return true
	}
	old, ok := c.Old.(*Mount)
	return ok && g.matchesMount(c.Key, old)
}

func (g *Grant) matchesOp(op Op) bool {
	if len(g.Ops) == 0 {
		return op != Remove
	}
	return slices.Contains(g.Ops, op)
}

// matchesValue compares what will be there. Types that are not known here are
// not granted.
func (g *Grant) matchesValue(c *Change) bool {
	switch v := c.Value.(type) {
	case *Mount:
		return g.matchesMount(c.Key, v)
	case *Hook:
		return v.Path == g.Path && slices.Equal(v.Env, g.Env) && g.matchesArgs(v)
	case *Device:
		hostPaths := g.HostPaths
		if len(hostPaths) == 0 {
			hostPaths = g.Keys
		}
		return len(v.HostPaths) > 0 && !slices.ContainsFunc(v.HostPaths, func(p string) bool { return !matchAny(hostPaths, p) })
	case *DeviceRule:
		return slices.ContainsFunc(g.Values, func(s string) bool {
			allowed, err := parseDeviceRule(s)
			return err == nil && allowed.covers(v)
		})
	case *Rlimit:
		return g.inBounds(float64(v.Hard)) && g.inBounds(float64(v.Soft))
	case *Namespace:
		return v.Path == g.Path
	case []string:
		return slices.Equal(v, g.Args)
	case int64:
		return g.inBounds(float64(v)) && g.matchesText(strconv.FormatInt(v, 10)) &&
			(c.Field != Resource || v >= 0 || g.Max == nil || g.Min != nil)
	case uint64:
		return g.inBounds(float64(v)) && g.matchesText(strconv.FormatUint(v, 10))
	case bool:
		return !g.bounded() && g.matchesText(strconv.FormatBool(v))
	case string:
		return !g.bounded() && g.matchesText(v)
	case *CDIDevice:
		return true
	case *api.LinuxNetDevice:
		return g.matchesText(v.GetName())
	case *api.LinuxScheduler:
		return g.matchesText(v.GetPolicy().String())
	case *api.LinuxIOPriority:
		return g.matchesText(v.GetClass().String())
	case *api.LinuxRdt:
		return g.matchesText(v.GetClosId().GetValue())
	case *api.LinuxMemoryPolicy:
		return g.matchesText(v.GetMode().String())
	case *api.LinuxSeccomp:
		return g.matchesText(v.GetListenerPath())
	}
	return false
}

// matchesArgs compares all arguments: a hook that is called by another name, or
// with its arguments moved up by one, may do something else.
func (g *Grant) matchesArgs(h *Hook) bool {
	if len(g.Args) > 0 || len(h.Args) == 0 {
		return slices.Equal(h.Args, g.Args)
	}
	return len(h.Args) == 1 && (h.Args[0] == h.Path || h.Args[0] == path.Base(h.Path))
}

func (g *Grant) matchesMount(destination string, m *Mount) bool {
	types := g.Types
	if len(types) == 0 {
		types = []string{"tmpfs"}
		if len(g.Sources) > 0 {
			types = []string{"bind", "overlay"}
		}
	}
	if !slices.Contains(types, m.Type) {
		return false
	}
	if len(g.Keys) == 0 && (destination == "/" || under(systemDestinations, destination)) {
		return false
	}
	host := slices.Clone(m.Layers)
	switch {
	case m.Type == "overlay" && len(m.Layers) == 0:
		return false // of what it is made was not understood
	case m.Type == "bind":
		host = append(host, m.ResolvedSource)
	case m.Type != "tmpfs" && path.IsAbs(m.Source):
		host = append(host, path.Clean(m.Source))
	}
	for _, p := range host {
		if !under(g.Sources, p) {
			return false
		}
	}
	if g.ReadOnly != nil && *g.ReadOnly != m.ReadOnly {
		return false
	}
	switch m.Propagation {
	case "", "private", "rprivate":
		return true
	}
	return slices.Contains(g.Propagation, m.Propagation)
}

func (g *Grant) bounded() bool { return g.Min != nil || g.Max != nil }

func (g *Grant) inBounds(n float64) bool {
	return (g.Min == nil || n >= *g.Min) && (g.Max == nil || n <= *g.Max)
}

func (g *Grant) matchesText(s string) bool {
	return len(g.Values) == 0 || slices.ContainsFunc(g.Values, func(p string) bool {
		// path.Match stops its stars at slashes; there are none in this alphabet.
		const slash = "\x00"
		ok, err := path.Match(strings.ReplaceAll(p, "/", slash), strings.ReplaceAll(s, "/", slash))
		return err == nil && ok
	})
}

// inNamespaces says whether the pod of the changed container is in one of the
// namespaces; a pod that nobody knows is in none.
func inNamespaces(patterns []string, c *Change) bool {
	return len(patterns) == 0 || c.Pod != nil && matchAny(patterns, c.Pod.GetNamespace())
}

func matchAny(patterns []string, s string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, s)
		return err == nil && ok
	})
}

// under says whether p is one of the directories or lies below one.
func under(directories []string, p string) bool {
	return slices.ContainsFunc(directories, func(d string) bool {
		return p == d || d == "/" || strings.HasPrefix(p, d+"/")
	})
}
