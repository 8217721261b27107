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
}

// resources records what a creation's adjustment makes of the resources. Of the
// memory settings NRI's generator carries out the limit alone, and swap with it;
// a limit of zero sets nothing, and neither does a negative number of processes.
func (x *builder) resources(r, old *api.LinuxResources) {
	if r == nil {
		return
	}
	x.checkResources(r)
	set := cpuLimits(r.GetCpu())
	if l := r.GetMemory().GetLimit().GetValue(); l != 0 {
		owned := simple(api.Field_MemLimit)
		set = append(set, limit{"memory.limit", l, owned}, limit{"memory.swap", l, owned})
	}
	set = append(set, namedLimits(r)...)
	if p := r.GetPids(); p != nil && p.GetLimit() > -1 {
		set = append(set, limit{"pids.limit", p.GetLimit(), simple(api.Field_PidsLimit)})
	}
	before := limitsByName(allLimits(old))
	for i, l := range lastOfEach(set) {
		if before[l.name] != l.value {
			x.limit(i, l, before[l.name])
		}
	}
	for i, l := range classes(r) {
		x.limit(i, l, nil) // the runtime resolves them by a table of its own
	}
	x.deviceRules(r.GetDevices())
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
		var wanted map[string]any
		if ours && requested != nil {
			wanted = limitsByName(allLimits(requested))
		}
		before := limitsByName(allLimits(known.GetLinux().GetResources()))
		for i, l := range allLimits(u.GetLinux().GetResources()) {
			if v, ok := wanted[l.name]; !ok || v != l.value {
				x.limit(i, l, before[l.name])
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
	for _, k := range slices.Sorted(maps.Keys(r.GetUnified())) {
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

func limitsByName(limits []limit) map[string]any {
	m := make(map[string]any, len(limits))
	for _, l := range limits {
		m[l.name] = l.value
	}
	return m
}

// lastOfEach keeps the last of several limits of one name, which the generator
// lets win.
func lastOfEach(set []limit) []limit {
	var last []limit
	for _, l := range set {
		if i := slices.IndexFunc(last, func(o limit) bool { return o.name == l.name }); i >= 0 {
			last[i] = l
			continue
		}
		last = append(last, l)
	}
	return last
}

// allLimits lists everything that a message sets.
func allLimits(r *api.LinuxResources) []limit {
	if r == nil {
		return nil
	}
	l := slices.Concat(cpuLimits(r.GetCpu()), memoryLimits(r.GetMemory()), namedLimits(r), classes(r))
	if p := r.GetPids(); p != nil {
		l = append(l, limit{"pids.limit", p.GetLimit(), simple(api.Field_PidsLimit)})
	}
	return l
}

func cpuLimits(c *api.LinuxCPU) []limit {
	if c == nil {
		return nil
	}
	var l limits
	l.uint("cpu.shares", c.Shares, api.Field_CPUShares)
	l.int("cpu.quota", c.Quota, api.Field_CPUQuota)
	l.uint("cpu.period", c.Period, api.Field_CPUPeriod)
	l.int("cpu.realtimeRuntime", c.RealtimeRuntime, api.Field_CPURealtimeRuntime)
	l.uint("cpu.realtimePeriod", c.RealtimePeriod, api.Field_CPURealtimePeriod)
	if c.Cpus != "" {
		l = append(l, limit{"cpu.cpus", c.Cpus, simple(api.Field_CPUSetCPUs)})
	}
	if c.Mems != "" {
		l = append(l, limit{"cpu.mems", c.Mems, simple(api.Field_CPUSetMems)})
	}
	return l
}

func memoryLimits(m *api.LinuxMemory) []limit {
	if m == nil {
		return nil
	}
	var l limits
	l.int("memory.limit", m.Limit, api.Field_MemLimit)
	l.int("memory.reservation", m.Reservation, api.Field_MemReservation)
	l.int("memory.swap", m.Swap, api.Field_MemSwapLimit)
	l.int("memory.kernel", m.Kernel, api.Field_MemKernelLimit)
	l.int("memory.kernelTcp", m.KernelTcp, api.Field_MemTCPLimit)
	l.uint("memory.swappiness", m.Swappiness, api.Field_MemSwappiness)
	l.bool("memory.disableOomKiller", m.DisableOomKiller, api.Field_MemDisableOomKiller)
	l.bool("memory.useHierarchy", m.UseHierarchy, api.Field_MemUseHierarchy)
	return l
}

// namedLimits are those that come with names of their own.
func namedLimits(r *api.LinuxResources) []limit {
	var l []limit
	for _, h := range r.GetHugepageLimits() {
		l = append(l, limit{"hugepages." + h.GetPageSize(), h.GetLimit(), compound(api.Field_HugepageLimits, h.GetPageSize())})
	}
	for _, k := range slices.Sorted(maps.Keys(r.GetUnified())) {
		l = append(l, limit{"unified." + k, r.GetUnified()[k], compound(api.Field_CgroupsUnified, k)})
	}
	return l
}

func classes(r *api.LinuxResources) []limit {
	var l []limit
	if c := r.GetBlockioClass(); c != nil {
		l = append(l, limit{"blockioClass", c.GetValue(), simple(api.Field_BlockioClass)})
	}
	if c := r.GetRdtClass(); c != nil {
		l = append(l, limit{"rdtClass", c.GetValue(), simple(api.Field_RdtClass)})
	}
	return l
}

// limits collects what optional members of a message set.
type limits []limit

func (l *limits) int(name string, v *api.OptionalInt64, f api.Field) {
	if v != nil {
		*l = append(*l, limit{name, v.GetValue(), simple(f)})
	}
}

func (l *limits) uint(name string, v *api.OptionalUInt64, f api.Field) {
	if v != nil {
		*l = append(*l, limit{name, v.GetValue(), simple(f)})
	}
}

func (l *limits) bool(name string, v *api.OptionalBool, f api.Field) {
	if v != nil {
		*l = append(*l, limit{name, v.GetValue(), simple(f)})
	}
}
