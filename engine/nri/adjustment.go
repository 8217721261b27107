package nri

import (
	"slices"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
)

// adjustment collects what a merged adjustment changes, field by field in the
// order of NRI's generator (pkg/runtime-tools/generate, Generator.Adjust).
func (x *builder) adjustment(a *api.ContainerAdjustment) {
	n := elements(a)
	if n > maxElements {
		x.malformed("the adjustment lists %d things; at most %d are looked at", n, maxElements)
		return
	}
	var room [usual]limit
	limits := generatedLimits(room[:0], a.GetLinux().GetResources())
	x.expect(n + len(limits))
	c := x.review.Container
	x.annotations(a.GetAnnotations(), c.GetAnnotations())
	x.env(a.GetEnv(), c.GetEnv())
	x.args(a.GetArgs(), c.GetArgs())
	x.hooks(a.GetHooks())
	x.cdiDevices(a.GetCDIDevices())
	x.mounts(a.GetMounts(), c.GetMounts())
	x.rlimits(a.GetRlimits(), c.GetRlimits())
	if a.GetLinux() != nil {
		x.linux(a.GetLinux(), c.GetLinux(), limits)
	}
}

// maxElements bounds what is looked at in one adjustment, since time goes with the
// square of some of its lists. The largest that plugins send in earnest have a few
// hundred elements.
const maxElements = 4096

// elements counts what an adjustment lists.
func elements(a *api.ContainerAdjustment) int {
	l := a.GetLinux()
	r := l.GetResources()
	n := len(a.GetAnnotations()) + len(a.GetEnv()) + len(a.GetMounts()) + len(a.GetRlimits()) + len(a.GetCDIDevices()) +
		len(l.GetDevices()) + len(l.GetNamespaces()) + len(l.GetSysctl()) + len(l.GetNetDevices()) +
		len(r.GetDevices()) + len(r.GetHugepageLimits()) + len(r.GetUnified())
	for _, stage := range hookStages(a.GetHooks()) {
		n += len(stage.hooks)
	}
	return n
}

func (x *builder) linux(a *api.LinuxContainerAdjustment, c *api.LinuxContainer, limits []limit) {
	x.devices(a.GetDevices(), c.GetDevices())
	if p := a.GetCgroupsPath(); p != "" && p != c.GetCgroupsPath() {
		x.diff(engine.CgroupsPath, "", text(c.GetCgroupsPath()), p, simple(api.Field_CgroupsPath))
	}
	x.oomScoreAdj(a.GetOomScoreAdj(), c.GetOomScoreAdj())
	x.ioPriority(a.GetIoPriority(), c.GetIoPriority())
	x.scheduler(a.GetScheduler(), c.GetScheduler())
	x.seccomp(a.GetSeccompPolicy(), c.GetSeccompPolicy())
	x.namespaces(a.GetNamespaces(), c.GetNamespaces())
	x.sysctl(a.GetSysctl(), c.GetSysctl())
	x.netDevices(a.GetNetDevices(), c.GetNetDevices())
	x.memoryPolicy(a.GetMemoryPolicy())
	x.resources(a.GetResources(), c.GetResources(), limits)
	x.rdt(a.GetRdt(), c.GetRdt())
}

// text is s, or nil where there is none.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (x *builder) args(args, old []string) {
	if len(args) == 0 || slices.Equal(args, old) {
		return
	}
	var before any
	if len(old) > 0 {
		before = old
	}
	x.diff(engine.Args, "", before, args, simple(api.Field_Args))
}

// hooks are only ever appended.
func (x *builder) hooks(h *api.Hooks) {
	for _, stage := range hookStages(h) {
		for i, hook := range stage.hooks {
			x.add(engine.Change{
				Op: engine.Add, Field: engine.OCIHook, Key: stage.name, Value: hookValue(hook), Position: i,
			}, simple(api.Field_OciHooks))
		}
	}
}

// hookStage is one list of hooks under the name that the OCI runtime
// specification gives it.
type hookStage struct {
	name  string
	hooks []*api.Hook
	list  *[]*api.Hook
}

func hookStages(h *api.Hooks) []hookStage {
	if h == nil {
		return nil
	}
	return []hookStage{
		{"prestart", h.Prestart, &h.Prestart},
		{"createRuntime", h.CreateRuntime, &h.CreateRuntime},
		{"createContainer", h.CreateContainer, &h.CreateContainer},
		{"startContainer", h.StartContainer, &h.StartContainer},
		{"poststart", h.Poststart, &h.Poststart},
		{"poststop", h.Poststop, &h.Poststop},
	}
}

// cdiDevices are resolved by the runtime, after the decision.
func (x *builder) cdiDevices(devices []*api.CDIDevice) {
	for i, d := range devices {
		x.add(engine.Change{
			Op: engine.Add, Field: engine.CDI, Key: d.GetName(), Value: cdiValue(d.GetName()), Position: i,
		}, compound(api.Field_CdiDevices, d.GetName()))
	}
}

// rlimits are appended, even where the type is there already: the last one wins
// when the OCI runtime sets them in order.
func (x *builder) rlimits(limits, old []*api.POSIXRlimit) {
	if len(limits) == 0 {
		return
	}
	before := make(map[string]any, len(old))
	for _, l := range old {
		before[l.GetType()] = &engine.Rlimit{Hard: l.GetHard(), Soft: l.GetSoft()}
	}
	for i, l := range limits {
		if l == nil {
			continue
		}
		c := engine.Change{Op: engine.Add, Field: engine.POSIXRlimit, Key: l.GetType(), Position: i,
			Value: &engine.Rlimit{Hard: l.GetHard(), Soft: l.GetSoft()}, Old: before[l.GetType()]}
		if c.Old != nil {
			c.Op = engine.Replace
		}
		x.add(c, compound(api.Field_Rlimits, l.GetType()))
		before[l.GetType()] = c.Value
	}
}

func (x *builder) oomScoreAdj(score, old *api.OptionalInt) {
	if score == nil || old != nil && old.GetValue() == score.GetValue() {
		return
	}
	var before any
	if old != nil {
		before = old.GetValue()
	}
	x.diff(engine.OOMScoreAdj, "", before, score.GetValue(), simple(api.Field_OomScoreAdj))
}

// ioPriority of class none, or of a class that this build does not know, is
// cleared by the generator.
func (x *builder) ioPriority(p, old *api.LinuxIOPriority) {
	known := func(p *api.LinuxIOPriority) *api.LinuxIOPriority {
		if p.ToOCI() == nil || p.ToOCI().Class == "" {
			return nil
		}
		return p
	}
	if p != nil {
		replaceMessage(x, engine.IOPriority, known(old), known(p), api.Field_IoPriority)
	}
}

// scheduler of policy none is cleared by the generator.
func (x *builder) scheduler(s, old *api.LinuxScheduler) {
	known := func(s *api.LinuxScheduler) *api.LinuxScheduler {
		if s.ToOCI() == nil {
			return nil
		}
		return s
	}
	if s != nil {
		replaceMessage(x, engine.Scheduler, known(old), known(s), api.Field_LinuxSched)
	}
}

// seccomp replaces the whole profile. The generator does not carry the default
// error number over, so that the one there was is lost.
func (x *builder) seccomp(s, old *api.LinuxSeccomp) {
	if s == nil {
		return
	}
	if s.DefaultErrno != nil {
		s = proto.CloneOf(s)
		s.DefaultErrno = nil
	}
	replaceMessage(x, engine.Seccomp, old, s, api.Field_SeccompPolicy)
}

// memoryPolicy is not shown to plugins: what there was is not known. A mode that
// this build does not know clears it, and is found as an unknown enumerator.
func (x *builder) memoryPolicy(p *api.LinuxMemoryPolicy) {
	if p.ToOCI() == nil || p.ToOCI().Mode == "" {
		return
	}
	replaceMessage(x, engine.MemoryPolicy, nil, p, api.Field_MemoryPolicy)
}

// replaceMessage records that one of NRI's own messages takes another's place.
func replaceMessage[M interface {
	comparable
	proto.Message
}](x *builder, field engine.Field, old, value M, owner api.Field) {
	var none M
	if old == none && value == none || old != none && value != none && proto.Equal(old, value) {
		return
	}
	var before, after any
	if old != none {
		before = old
	}
	if value != none {
		after = value
	}
	x.diff(field, "", before, after, simple(owner))
}

// rdt is taken out first where the adjustment says so, then set member by member.
// NRI keeps owners by member: whoever set one has a part in the whole.
func (x *builder) rdt(r, old *api.LinuxRdt) {
	if r == nil {
		return
	}
	if id := r.GetClosId().GetValue(); id == "." || id == ".." || strings.Contains(id, "/") {
		x.malformed("%q is no name of an RDT class", id)
	}
	var value *api.LinuxRdt
	if old != nil && !r.GetRemove() {
		value = proto.CloneOf(old)
	}
	if r.ClosId != nil || r.Schemata != nil || r.EnableMonitoring != nil {
		if value == nil {
			value = &api.LinuxRdt{}
		}
		if r.ClosId != nil {
			value.ClosId = r.ClosId
		}
		if r.Schemata != nil {
			value.Schemata = r.Schemata
		}
		if r.EnableMonitoring != nil {
			value.EnableMonitoring = r.EnableMonitoring
		}
	}
	before := len(x.review.Changes)
	replaceMessage(x, engine.RDT, old, value, api.Field_RdtClosID)
	for _, c := range x.review.Changes[before:] {
		x.share(c, simple(api.Field_RdtSchemata), simple(api.Field_RdtEnableMonitoring))
	}
}

// evictions ask the runtime to stop containers.
func (x *builder) evictions(list []*api.ContainerEviction) {
	if n := len(list); n > maxElements {
		x.malformed("there are %d evictions; at most %d are looked at", n, maxElements)
		return
	}
	own := x.target
	for i, e := range list {
		if e == nil {
			x.malformed("eviction %d is empty", i)
			continue
		}
		x.aim(e.GetContainerId(), "eviction")
		x.inspect("evict", e)
		x.add(engine.Change{Op: engine.Add, Field: engine.Eviction, Key: e.GetContainerId(), Value: e.GetReason(), Position: i}, nobody)
	}
	x.target = own
}
