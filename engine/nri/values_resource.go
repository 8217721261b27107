package nri

import (
	"maps"
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
)

// limit is one resource that a message sets.
type limit struct {
	name  string
	value any // int64, uint64, string or bool
	owned ownership
	// of finds the same one in other messages; nil where its key does.
	of func(*api.LinuxResources) any
}

// in returns what other resources set the limit to, nil where they do not.
func (l *limit) in(r *api.LinuxResources) any {
	switch {
	case l.of != nil:
		return l.of(r)
	case l.owned.field == api.Field_HugepageLimits:
		for _, h := range slices.Backward(r.GetHugepageLimits()) {
			if h.GetPageSize() == l.owned.key {
				return h.GetLimit()
			}
		}
	default:
		if v, ok := r.GetUnified()[l.owned.key]; ok {
			return v
		}
	}
	return nil
}

// resources records what a creation's adjustment makes of the resources. limits are
// what the generator sets.
func (x *builder) resources(r, old *api.LinuxResources, limits []limit) {
	if r == nil {
		return
	}
	x.checkResources(r)
	for i, l := range limits {
		if before := l.in(old); before != l.value {
			x.limit(i, l, before)
		}
	}
	for i, l := range appendSet(nil, classes, r) {
		x.limit(i, l, nil) // the runtime resolves them by a table of its own
	}
	x.deviceRules(r.GetDevices())
}

// generatedLimits lists what the generator sets of a creation's resources. Of the
// memory settings it carries out the limit alone, and swap with it; a limit of zero
// sets nothing, and neither does a negative number of processes.
func generatedLimits(set []limit, r *api.LinuxResources) []limit {
	if r == nil {
		return set
	}
	set = appendSet(set, cpuLimits, r)
	if l := r.GetMemory().GetLimit().GetValue(); l != 0 {
		owned := simple(api.Field_MemLimit)
		set = append(set, limit{"memory.limit", l, owned, memoryLimit}, limit{"memory.swap", l, owned, memorySwap})
	}
	set = appendNamed(set, r)
	if r.GetPids().GetLimit() > -1 {
		set = appendSet(set, pidsLimits, r)
	}
	return lastOfEach(set)
}

// updates records what a list of container updates changes. Everything that is set
// reaches the runtime, zeroes too. Where the runtime itself asked for an update,
// requested is what it wants of the container under review: that is no change. For
// other containers every value is one, since what is known of them may have been
// overtaken.
func (x *builder) updates(list []*api.ContainerUpdate, requested *api.LinuxResources) {
	if n := updateElements(list); n > maxElements {
		x.malformed("the updates list %d things; at most %d are looked at", n, maxElements)
		return
	}
	own := x.target
	for _, u := range list {
		if u == nil {
			continue
		}
		known := x.aim(u.GetContainerId(), "update")
		x.inspect("update", u)
		ours := u.GetContainerId() == own.id
		if ours && x.review.Operation == engine.CreateContainer {
			x.malformed("an update of container %q while it is being created", own.id)
		}
		for i, l := range allLimits(u.GetLinux().GetResources()) {
			if !ours || l.in(requested) != l.value {
				x.limit(i, l, l.in(known.GetLinux().GetResources()))
			}
		}
		x.checkResources(u.GetLinux().GetResources())
		x.deviceRules(u.GetLinux().GetResources().GetDevices())
	}
	x.target = own
}

// checkResources finds names that runtimes make names of files of, and that would
// lead out of the container's cgroup. runc and crun refuse them, not everybody does.
func (x *builder) checkResources(r *api.LinuxResources) {
	for k := range r.GetUnified() {
		if k == "" || strings.Contains(k, "/") {
			x.malformed("%q is no file of a cgroup", k)
		}
	}
	for _, h := range r.GetHugepageLimits() {
		if strings.Contains(h.GetPageSize(), "/") {
			x.malformed("%q is no size of huge pages", h.GetPageSize())
		}
	}
}

// updateElements counts what updates list, each update itself included.
func updateElements(list []*api.ContainerUpdate) int {
	n := len(list)
	for _, u := range list {
		r := u.GetLinux().GetResources()
		n += len(r.GetDevices()) + len(r.GetHugepageLimits()) + len(r.GetUnified())
	}
	return n
}

// aim turns to another container, which must have been seen, and returns it.
func (x *builder) aim(id, what string) *api.Container {
	if c := x.review.Container; c != nil && id == c.GetId() {
		x.target = target{id: id, pod: x.review.Pod}
		return c
	}
	var pod *api.PodSandbox
	var container *api.Container
	if x.border.Lookup != nil {
		pod, container = x.border.Lookup(id)
	}
	if container == nil {
		x.malformed("%s of container %q, which has not been seen", what, id)
	}
	x.target = target{id: id, pod: pod}
	return container
}

func (x *builder) limit(position int, l limit, old any) {
	c := engine.Change{Op: engine.Add, Field: engine.Resource, Key: l.name, Value: l.value, Old: old, Position: position}
	if old != nil {
		c.Op = engine.Replace
	}
	x.add(c, l.owned)
}

// lastOfEach keeps the last of several limits of one name, which the generator
// lets win.
func lastOfEach(set []limit) []limit {
	last := set[:0]
	for _, l := range set {
		if i := slices.IndexFunc(last, func(o limit) bool { return o.name == l.name }); i >= 0 {
			last[i] = l
			continue
		}
		last = append(last, l)
	}
	return last
}

// usual is how many limits there is room for without asking for memory.
const usual = 10

// allLimits lists everything that a message sets.
func allLimits(r *api.LinuxResources) []limit {
	l := appendSet(nil, cpuLimits, r)
	l = appendSet(l, memoryLimits, r)
	l = appendNamed(l, r)
	l = appendSet(l, classes, r)
	return appendSet(l, pidsLimits, r)
}

// setting is a limit that has a member of its own in NRI's messages.
type setting struct {
	name  string
	owner api.Field
	of    func(*api.LinuxResources) any
}

var cpuLimits = []setting{
	{"cpu.shares", api.Field_CPUShares, func(r *api.LinuxResources) any { return optional(r.GetCpu().GetShares()) }},
	{"cpu.quota", api.Field_CPUQuota, func(r *api.LinuxResources) any { return optional(r.GetCpu().GetQuota()) }},
	{"cpu.period", api.Field_CPUPeriod, func(r *api.LinuxResources) any { return optional(r.GetCpu().GetPeriod()) }},
	{"cpu.realtimeRuntime", api.Field_CPURealtimeRuntime, func(r *api.LinuxResources) any { return optional(r.GetCpu().GetRealtimeRuntime()) }},
	{"cpu.realtimePeriod", api.Field_CPURealtimePeriod, func(r *api.LinuxResources) any { return optional(r.GetCpu().GetRealtimePeriod()) }},
	{"cpu.cpus", api.Field_CPUSetCPUs, func(r *api.LinuxResources) any { return text(r.GetCpu().GetCpus()) }},
	{"cpu.mems", api.Field_CPUSetMems, func(r *api.LinuxResources) any { return text(r.GetCpu().GetMems()) }},
}

var memoryLimits = []setting{
	{"memory.limit", api.Field_MemLimit, memoryLimit},
	{"memory.reservation", api.Field_MemReservation, func(r *api.LinuxResources) any { return optional(r.GetMemory().GetReservation()) }},
	{"memory.swap", api.Field_MemSwapLimit, memorySwap},
	{"memory.kernel", api.Field_MemKernelLimit, func(r *api.LinuxResources) any { return optional(r.GetMemory().GetKernel()) }},
	{"memory.kernelTcp", api.Field_MemTCPLimit, func(r *api.LinuxResources) any { return optional(r.GetMemory().GetKernelTcp()) }},
	{"memory.swappiness", api.Field_MemSwappiness, func(r *api.LinuxResources) any { return optional(r.GetMemory().GetSwappiness()) }},
	{"memory.disableOomKiller", api.Field_MemDisableOomKiller, func(r *api.LinuxResources) any { return optional(r.GetMemory().GetDisableOomKiller()) }},
	{"memory.useHierarchy", api.Field_MemUseHierarchy, func(r *api.LinuxResources) any { return optional(r.GetMemory().GetUseHierarchy()) }},
}

func memoryLimit(r *api.LinuxResources) any { return optional(r.GetMemory().GetLimit()) }
func memorySwap(r *api.LinuxResources) any  { return optional(r.GetMemory().GetSwap()) }

var pidsLimits = []setting{{"pids.limit", api.Field_PidsLimit, func(r *api.LinuxResources) any {
	if r.GetPids() == nil {
		return nil
	}
	return r.GetPids().GetLimit()
}}}

var classes = []setting{
	{"blockioClass", api.Field_BlockioClass, func(r *api.LinuxResources) any { return optional(r.GetBlockioClass()) }},
	{"rdtClass", api.Field_RdtClass, func(r *api.LinuxResources) any { return optional(r.GetRdtClass()) }},
}

// optional is the value of one of NRI's optional members, nil where it is not set.
func optional[T any, M interface {
	comparable
	GetValue() T
}](m M) any {
	var none M
	if m == none {
		return nil
	}
	return m.GetValue()
}

// appendSet adds those of the settings that a message has.
func appendSet(l []limit, settings []setting, r *api.LinuxResources) []limit {
	for i := range settings {
		s := &settings[i]
		if v := s.of(r); v != nil {
			l = append(l, limit{s.name, v, simple(s.owner), s.of})
		}
	}
	return l
}

// appendNamed adds the limits that come with names of their own.
func appendNamed(l []limit, r *api.LinuxResources) []limit {
	for _, h := range r.GetHugepageLimits() {
		l = append(l, limit{"hugepages." + h.GetPageSize(), h.GetLimit(), compound(api.Field_HugepageLimits, h.GetPageSize()), nil})
	}
	if len(r.GetUnified()) == 0 {
		return l
	}
	for _, k := range slices.Sorted(maps.Keys(r.GetUnified())) {
		l = append(l, limit{"unified." + k, r.GetUnified()[k], compound(api.Field_CgroupsUnified, k), nil})
	}
	return l
}
