package nri_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/runtime-tools/generate"
	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/oci"
)

// The oracle: what NRI's own generator makes of an OCI spec is compared with what
// a review says. Each difference must be explained by a change with the name and
// the value that take effect, and no change may be claimed where nothing differs.

// snapshot lists what a spec holds, by field and key. Several entries at one key
// are several values.
type snapshot map[engine.Field]map[string][]string

func (s snapshot) put(f engine.Field, key string, value any) {
	if s[f] == nil {
		s[f] = map[string][]string{}
	}
	s[f][key] = append(s[f][key], render(value))
}

func render(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// list makes no difference between an empty list and none.
func list(l []string) []string { return append([]string{}, l...) }

func inside(p string) string { return path.Clean("/" + p) }

func take(spec *rspec.Spec) snapshot {
	s := snapshot{}
	for k, v := range spec.Annotations {
		s.put(engine.Annotation, k, v)
	}
	for _, m := range spec.Mounts {
		s.put(engine.MountPoint, inside(m.Destination), m.Type+spelledAs+render(mountFacts{m.Destination, effectiveType(m), m.Source, m.Options}))
	}
	if p := spec.Process; p != nil {
		for _, e := range p.Env {
			name, value, ok := strings.Cut(e, "=")
			if !ok {
				value = "no variable at all"
			}
			s.put(engine.Env, name, value)
		}
		if len(p.Args) > 0 {
			s.put(engine.Args, "", p.Args)
		}
		for _, l := range p.Rlimits {
			s.put(engine.POSIXRlimit, l.Type, []uint64{l.Hard, l.Soft})
		}
		if p.OOMScoreAdj != nil {
			s.put(engine.OOMScoreAdj, "", *p.OOMScoreAdj)
		}
		if p.IOPriority != nil {
			s.put(engine.IOPriority, "", p.IOPriority)
		}
		if p.Scheduler != nil {
			s.put(engine.Scheduler, "", p.Scheduler)
		}
	}
	if h := spec.Hooks; h != nil {
		for stage, list := range map[string][]rspec.Hook{
			"prestart": h.Prestart, "createRuntime": h.CreateRuntime, "createContainer": h.CreateContainer, //nolint:staticcheck // still applied
			"startContainer": h.StartContainer, "poststart": h.Poststart, "poststop": h.Poststop,
		} {
			for _, hook := range list {
				s.put(engine.OCIHook, stage, hookFacts(hook))
			}
		}
	}
	if spec.Linux != nil {
		s.takeLinux(spec.Linux)
	}
	return s
}

// spelledAs keeps the spellings of one kernel parameter, or of one type of mount, apart
// while they are compared.
const spelledAs = "\x00"

type mountFacts struct {
	Destination, Type, Source string
	Options                   []string
}

func effectiveType(m rspec.Mount) string {
	options := strings.Split(strings.Join(m.Options, ","), ",")
	switch {
	case slices.Contains(options, "remount"):
		return "remount"
	case slices.Contains(options, "bind"), slices.Contains(options, "rbind"):
		return "bind"
	}
	return m.Type
}

func hookFacts(h rspec.Hook) []any {
	timeout := 0
	if h.Timeout != nil {
		timeout = *h.Timeout
	}
	if path.IsAbs(h.Path) && !strings.Contains(h.Path, "..") {
		h.Path = path.Clean(h.Path)
	}
	return []any{h.Path, list(h.Args), list(h.Env), timeout}
}

func (s snapshot) takeLinux(l *rspec.Linux) {
	for _, d := range l.Devices {
		s.put(engine.DeviceNode, inside(d.Path), []any{d.Type, d.Major, d.Minor, d.FileMode, d.UID, d.GID})
	}
	for _, n := range l.Namespaces {
		s.put(engine.Namespaces, string(n.Type), n.Path)
	}
	for k, v := range l.Sysctl {
		s.put(engine.Sysctl, dotted(k), k+spelledAs+v)
	}
	for k, v := range l.NetDevices {
		s.put(engine.NetDevice, k, v.Name)
	}
	if l.CgroupsPath != "" {
		s.put(engine.CgroupsPath, "", l.CgroupsPath)
	}
	if l.Seccomp != nil {
		s.put(engine.Seccomp, "", seccompFacts(l.Seccomp))
	}
	if l.IntelRdt != nil {
		s.put(engine.RDT, "", []any{l.IntelRdt.ClosID, list(l.IntelRdt.Schemata), l.IntelRdt.EnableMonitoring})
	}
	if l.MemoryPolicy != nil {
		s.put(engine.MemoryPolicy, "", l.MemoryPolicy)
	}
	if l.Resources != nil {
		s.takeResources(l.Resources)
	}
}

// seccompFacts leaves nothing out but what is empty.
func seccompFacts(c *rspec.LinuxSeccomp) string { return render(c) }

// dotted is the oracle's own reading of a kernel parameter's name: to which file
// below /proc/sys it comes.
func dotted(name string) string {
	slash, dot := strings.IndexByte(name, '/'), strings.IndexByte(name, '.')
	if slash < 0 || dot >= 0 && dot < slash {
		name = strings.NewReplacer(".", "/", "/", ".").Replace(name)
	}
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
	return strings.NewReplacer("/", ".", ".", "/").Replace(strings.Join(parts, "/"))
}

func (s snapshot) takeResources(r *rspec.LinuxResources) {
	number := func(name string, v any, present bool) {
		if present {
			s.put(engine.Resource, name, v)
		}
	}
	if c := r.CPU; c != nil {
		number("cpu.shares", c.Shares, c.Shares != nil)
		number("cpu.quota", c.Quota, c.Quota != nil)
		number("cpu.period", c.Period, c.Period != nil)
		number("cpu.realtimeRuntime", c.RealtimeRuntime, c.RealtimeRuntime != nil)
		number("cpu.realtimePeriod", c.RealtimePeriod, c.RealtimePeriod != nil)
		number("cpu.cpus", c.Cpus, c.Cpus != "")
		number("cpu.mems", c.Mems, c.Mems != "")
	}
	if m := r.Memory; m != nil {
		number("memory.limit", m.Limit, m.Limit != nil)
		number("memory.swap", m.Swap, m.Swap != nil)
		number("memory.reservation", m.Reservation, m.Reservation != nil)
	}
	if p := r.Pids; p != nil {
		number("pids.limit", p.Limit, p.Limit != nil)
	}
	for _, h := range r.HugepageLimits {
		s.put(engine.Resource, "hugepages."+h.Pagesize, h.Limit)
	}
	for k, v := range r.Unified {
		s.put(engine.Resource, "unified."+k, v)
	}
	for _, d := range r.Devices {
		s.put(engine.DeviceCgroup, "", []any{d.Allow, d.Type, d.Major, d.Minor, d.Access})
	}
}

// fact is a change as the oracle puts it.
type fact struct {
	field engine.Field
	key   string
	op    engine.Op
	value string
}

// rootPropagation stands for linux.rootfsPropagation, which has no field of its
// own: the mount whose options set it explains it.
const rootPropagation engine.Field = "rootfsPropagation"

// compare tells what differs between two snapshots.
func compare(before, after snapshot) map[fact]int {
	facts := map[fact]int{}
	for _, spec := range engine.Fields() {
		f := spec.Field
		keys := maps.Clone(after[f])
		if keys == nil {
			keys = map[string][]string{}
		}
		maps.Copy(keys, before[f])
		for key := range keys {
			compareKey(facts, f, key, before[f][key], after[f][key])
		}
	}
	return facts
}

func compareKey(facts map[fact]int, f engine.Field, key string, before, after []string) {
	if f == engine.Env {
		compareEnv(facts, key, before, after)
		return
	}
	added, gone := minus(after, before), minus(before, after)
	op := engine.Replace
	if len(before) == 0 || f == engine.OCIHook || f == engine.DeviceCgroup {
		op = engine.Add
	}
	for i, v := range added {
		if _, value, ok := strings.Cut(v, spelledAs); ok {
			v = value
		}
		fact := fact{f, key, op, v}
		if f == engine.POSIXRlimit && i > 0 {
			fact.op = engine.Replace
		}
		facts[fact]++
	}
	if len(added) == 0 && len(gone) > 0 {
		facts[fact{f, key, engine.Remove, ""}]++
	}
}

// compareEnv goes by the first entry of a name, which is the one that the C
// library finds.
func compareEnv(facts map[fact]int, key string, before, after []string) {
	switch {
	case slices.Equal(before, after):
	case len(after) == 0:
		facts[fact{engine.Env, key, engine.Remove, ""}]++
	case len(before) == 0:
		facts[fact{engine.Env, key, engine.Add, after[0]}]++
	default:
		facts[fact{engine.Env, key, engine.Replace, after[0]}]++
	}
}

func minus(a, b []string) []string {
	b = slices.Clone(b)
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool {
		i := slices.Index(b, s)
		if i >= 0 {
			b = slices.Delete(b, i, i+1)
		}
		return i >= 0
	})
}

// claimed is a review's changes as the oracle puts them, without what runtimes
// resolve by themselves.
func claimed(r *engine.Review) map[fact]int {
	facts := map[fact]int{}
	for _, c := range r.Changes {
		switch {
		case c.Field == engine.Unknown, c.Field == engine.Eviction, c.Field == engine.CDI,
			c.Key == "rdtClass", c.Key == "blockioClass":
			continue
		}
		f := fact{field: c.Field, key: c.Key, op: c.Op}
		if c.Op != engine.Remove {
			f.value = valueFacts(c)
		}
		facts[f]++
	}
	return facts
}

func valueFacts(c *engine.Change) string {
	switch v := c.Value.(type) {
	case *engine.Mount:
		return render(mountFacts{"", v.Type, v.Source, v.Options})
	case *engine.Hook:
		return render([]any{v.Path, list(v.Args), list(v.Env), v.Timeout})
	case *engine.Device:
		return render([]any{v.Type, v.Major, v.Minor, v.FileMode, v.UID, v.GID})
	case *engine.DeviceRule:
		return render([]any{v.Allow, v.Type, v.Major, v.Minor, v.Access})
	case *engine.Rlimit:
		return render([]uint64{v.Hard, v.Soft})
	case *engine.Namespace:
		return v.Path
	case *api.LinuxNetDevice:
		return v.GetName()
	case *api.LinuxSeccomp:
		return seccompFacts(ociSeccomp(v))
	case *api.LinuxIOPriority:
		return render(v.ToOCI())
	case *api.LinuxScheduler:
		return render(v.ToOCI())
	case *api.LinuxMemoryPolicy:
		return render(v.ToOCI())
	case *api.LinuxRdt:
		return render([]any{v.GetClosId().GetValue(), list(v.GetSchemata().GetValue()), v.GetEnableMonitoring().GetValue()})
	}
	return render(c.Value)
}

// explain reports what differs between what was claimed and what happened.
func explain(t *testing.T, what map[fact]int, review *engine.Review) {
	t.Helper()
	got := claimed(review)
	for f, n := range what {
		if f.field == engine.MountPoint {
			continue // compared below, without the spelling of the destination
		}
		if f.field == rootPropagation {
			if !slices.ContainsFunc(review.Changes, func(c *engine.Change) bool {
				m, ok := c.Value.(*engine.Mount)
				return ok && m.Propagation == f.value
			}) {
				t.Errorf("the root's propagation became %s, which no mount explains", f.value)
			}
			continue
		}
		if got[f] != n {
			t.Errorf("%d times not explained: %+v", n-got[f], f)
		}
	}
	for f := range got {
		if f.field != engine.MountPoint && what[f] == 0 {
			t.Errorf("claimed, but nothing differs: %+v", f)
		}
	}
	mounts := map[fact]int{}
	for f, n := range what {
		if f.field != engine.MountPoint {
			continue
		}
		var m mountFacts
		if f.op != engine.Remove {
			if err := json.Unmarshal([]byte(f.value), &m); err != nil {
				t.Fatal(err)
			}
			m.Destination = ""
			f.value = render(m)
		}
		mounts[f] += n
	}
	for f, n := range got {
		if f.field == engine.MountPoint && mounts[f] != n && !rooted(review, f.key) {
			t.Errorf("claimed, but nothing differs: %+v", f)
		}
	}
	for f := range mounts {
		if got[f] == 0 {
			t.Errorf("not explained: %+v", f)
		}
	}
}

func rooted(r *engine.Review, key string) bool {
	return slices.ContainsFunc(r.Changes, func(c *engine.Change) bool {
		m, ok := c.Value.(*engine.Mount)
		return ok && c.Key == key && (m.Propagation == "rshared" || m.Propagation == "rslave")
	})
}

// outcomes applies an adjustment as often as it takes to see what Go's map order
// can make of it. Nothing is returned when the generator refuses it.
func outcomes(t *testing.T, c *api.Container, a *api.ContainerAdjustment) (map[fact]int, bool) {
	t.Helper()
	runs := 1
	if contradicts(a.GetAnnotations()) || contradicts(a.GetLinux().GetSysctl()) || contradicts(a.GetLinux().GetNetDevices()) {
		runs = 100
	}
	all := map[fact]int{}
	before := take(toSpec(c))
	for range runs {
		spec := toSpec(c)
		if err := oci.Apply(spec, proto.CloneOf(a), resolvers()...); err != nil {
			return nil, false
		}
		for f, n := range compare(before, take(spec)) {
			all[f] = max(all[f], n)
		}
		if p := spec.Linux.RootfsPropagation; p != "" {
			all[fact{rootPropagation, "", engine.Replace, p}] = 1
		}
	}
	return all, true
}

func contradicts[V any](m map[string]V) bool {
	for k := range m {
		if _, ok := m["-"+k]; ok {
			return true
		}
	}
	return false
}

// resolvers stand for what runtimes decide by themselves.
func resolvers() []generate.GeneratorOption {
	return []generate.GeneratorOption{
		generate.WithBlockIOResolver(func(string) (*rspec.LinuxBlockIO, error) { return nil, nil }),
		generate.WithRdtResolver(func(string) (*rspec.LinuxIntelRdt, error) { return nil, fmt.Errorf("not in this test") }),
		generate.WithCDIDeviceInjector(func(*rspec.Spec, []string) error { return nil }),
	}
}
