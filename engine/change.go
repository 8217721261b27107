package engine

import (
	"github.com/containerd/nri/pkg/api"
)

// Op says what a [Change] does.
type Op string

// What a change can do.
const (
	Add     Op = "add"
	Replace Op = "replace"
	Remove  Op = "remove"
)

// Ops lists every [Op].
func Ops() []Op { return []Op{Add, Replace, Remove} }

// Field is the kind of thing that a [Change] is about.
type Field string

// The fields of a container that can change, and what stands in for those that
// cannot be named (unknown) or are asked of the runtime (eviction).
const (
	Annotation   Field = "annotation"
	Args         Field = "args"
	CDI          Field = "cdiDevice"
	CgroupsPath  Field = "cgroupsPath"
	DeviceNode   Field = "device"
	DeviceCgroup Field = "deviceRule"
	Env          Field = "env"
	Eviction     Field = "eviction"
	OCIHook      Field = "hook"
	IOPriority   Field = "ioPriority"
	MemoryPolicy Field = "memoryPolicy"
	MountPoint   Field = "mount"
	Namespaces   Field = "namespace"
	NetDevice    Field = "netDevice"
	OOMScoreAdj  Field = "oomScoreAdj"
	RDT          Field = "rdt"
	Resource     Field = "resource"
	POSIXRlimit  Field = "rlimit"
	Scheduler    Field = "scheduler"
	Seccomp      Field = "seccomp"
	Sysctl       Field = "sysctl"
	Unknown      Field = "unknown"
)

// FieldSpec describes a [Field].
type FieldSpec struct {
	Field Field
	// Zero is the zero of the Go type of [Change.Value] and [Change.Old]; it is
	// what the document shows where one of them is absent. Resource values are
	// one of int64, uint64, string and bool; their zero is int64(0).
	Zero any
	// Key says what [Change.Key] holds, "" where the field has no key.
	Key string
	// Doc says what the field is.
	Doc string
}

var fields = []FieldSpec{
	{Annotation, "", "name", "an annotation of the container"},
	{Args, []string(nil), "", "the arguments of the container's process"},
	{CDI, &CDIDevice{}, "qualified name", "a device by its CDI name; the runtime resolves it after the decision"},
	{CgroupsPath, "", "", "the path of the container's cgroup"},
	{DeviceNode, &Device{}, "path in the container, cleaned", "a device node"},
	{DeviceCgroup, &DeviceRule{}, "", "a rule of the device cgroup controller"},
	{Env, "", "name", "a variable of the process' environment"},
	{Eviction, "", "container id", "a plugin asks that a container be stopped; the value is the reason"},
	{OCIHook, &Hook{}, "stage", "an OCI hook; a change for each"},
	{IOPriority, &api.LinuxIOPriority{}, "", "the I/O priority"},
	{MemoryPolicy, &api.LinuxMemoryPolicy{}, "", "the NUMA memory policy"},
	{MountPoint, &Mount{}, "destination in the container, cleaned", "a mount"},
	{Namespaces, &Namespace{}, "type", "a Linux namespace"},
	{NetDevice, &api.LinuxNetDevice{}, "name on the host", "a network device moved into the container"},
	{OOMScoreAdj, int64(0), "", "the score of the out-of-memory killer"},
	{RDT, &api.LinuxRdt{}, "", "Intel RDT settings"},
	{Resource, int64(0), "dotted name", "a resource limit: memory.limit, cpu.shares, unified.memory.high, ..."},
	{POSIXRlimit, &Rlimit{}, "type", "a POSIX resource limit"},
	{Scheduler, &api.LinuxScheduler{}, "", "the scheduling policy"},
	{Seccomp, &api.LinuxSeccomp{}, "", "the seccomp profile"},
	{Sysctl, "", "name with dots", "a kernel parameter"},
	{Unknown, int64(0), "message path and field number", "a field of the message that this build does not know; the value is its size in bytes"},
}

// Fields lists every [Field] in alphabetical order.
func Fields() []FieldSpec { return fields }

// Spec returns the description of a field and whether there is such a field.
func (f Field) Spec() (FieldSpec, bool) {
	for _, s := range fields {
		if s.Field == f {
			return s, true
		}
	}
	return FieldSpec{}, false
}

// Change is one thing that would become different, in normal form: the name and
// the value that the process, the kernel or the OCI runtime would finally see.
type Change struct {
	// ID is unique within the review and made of field, key and, where they are
	// needed to tell two apart, container and position: "mount:/data",
	// "resource:cpu.shares@4f1c", "hook:createRuntime#2".
	ID    string `json:"id" doc:"unique within this review"`
	Op    Op     `json:"op" doc:"add, replace or remove"`
	Field Field  `json:"field" doc:"the kind of thing that changes"`
	Key   string `json:"key" doc:"which one of the kind; empty where there can be only one"`
	// Value is what will be there, nil when it is removed. Its Go type is that of
	// the field's [FieldSpec.Zero].
	Value any `json:"value" doc:"what will be there; the zero value when it is removed"`
	// Old is what was there, nil when it is added. Of the same type as Value.
	Old any `json:"old" doc:"what was there; the zero value when it is added"`
	// Plugin is the one plugin that can be named for the change, else zero.
	Plugin Plugin `json:"plugin" doc:"the plugin that asks for it; empty names where nobody or more than one can be named"`
	// Owners are all plugins that NRI holds responsible.
	Owners []Plugin `json:"owners" doc:"every plugin that has a part in it"`
	// Container is the id of the container that changes.
	Container string `json:"container" doc:"id of the container that changes; an update may aim at another one"`
	// Granted is set by [Engine.Decide].
	Granted bool `json:"granted" doc:"whether the configuration grants this very change"`

	// Pod is the pod of Container, nil where nobody knows it.
	Pod *api.PodSandbox `json:"-"`
	// Position is the index of the element in NRI's list that the change stems
	// from, for fields that are lists without keys (hooks, device rules).
	Position int `json:"-"`
	// Implied marks the device rule that the runtime adds by itself for a device;
	// Key of that device is in ImpliedBy.
	ImpliedBy string `json:"-"`
}

// Mount is the value of a [MountPoint] change. What options say is read as the
// OCI runtime does: in order, the last word wins.
type Mount struct {
	Type              string   `json:"type" doc:"effective type: bind or remount whenever the options make it one, whatever the plugin called it"`
	Source            string   `json:"source" doc:"source, as written"`
	ResolvedSource    string   `json:"resolvedSource" doc:"for a bind mount its source with symbolic links resolved under the host's root, else empty"`
	Layers            []string `json:"layers" doc:"directories of the host that an overlay is made of, resolved"`
	Aliases           []string `json:"aliases" doc:"well-known places of the host whose names, by symbolic links, lead to the source or a layer, or to something below it"`
	Options           []string `json:"options" doc:"options, as written"`
	ReadOnly          bool     `json:"readOnly" doc:"nothing can be written through the mount itself"`
	Recursive         bool     `json:"recursive" doc:"a bind mount that carries the mounts below its source along"`
	RecursiveReadOnly bool     `json:"recursiveReadOnly" doc:"read-only including the mounts below"`
	Propagation       string   `json:"propagation" doc:"mount propagation: private, rprivate, slave, rslave, shared, rshared, unbindable, runbindable or empty"`
	HadSource         bool     `json:"hadSource" doc:"the container already had a bind mount of this resolved source, at least as recursive"`
	HadWritable       bool     `json:"hadWritable" doc:"... and one of those was writable"`
	HadPropagation    bool     `json:"hadPropagation" doc:"... and one of those had this propagation"`
}

// Hook is the value of an [OCIHook] change.
type Hook struct {
	Path    string   `json:"path" doc:"executable on the host, cleaned"`
	Args    []string `json:"args" doc:"arguments, with the name of the program first"`
	Env     []string `json:"env" doc:"environment, NAME=value"`
	Timeout int64    `json:"timeout" doc:"seconds; 0 without one"`
}

// Device is the value of a [DeviceNode] change.
type Device struct {
	Type  string `json:"type" doc:"c, b, u or p"`
	Major int64  `json:"major" doc:"major number"`
	Minor int64  `json:"minor" doc:"minor number"`
	// FileMode, UID and GID are nil where the runtime chooses.
	FileMode  *uint32  `json:"fileMode,omitempty" doc:"permission bits; absent where the runtime chooses"`
	UID       *uint32  `json:"uid,omitempty" doc:"owner; absent where the runtime chooses"`
	GID       *uint32  `json:"gid,omitempty" doc:"group; absent where the runtime chooses"`
	HostPaths []string `json:"hostPaths" doc:"device nodes below the host's /dev that major:minor names"`
}

// DeviceRule is the value of a [DeviceCgroup] change.
type DeviceRule struct {
	Allow bool   `json:"allow" doc:"whether the rule allows or denies"`
	Type  string `json:"type" doc:"a (all), b or c; empty is all"`
	// Major and Minor are nil for every number.
	Major  *int64 `json:"major,omitempty" doc:"major number; absent for all"`
	Minor  *int64 `json:"minor,omitempty" doc:"minor number; absent for all"`
	Access string `json:"access" doc:"of r, w and m"`
}

// CDIDevice is the value of a [CDI] change: the parts of VENDOR/CLASS=NAME.
type CDIDevice struct {
	Vendor string `json:"vendor" doc:"vendor, such as nvidia.com"`
	Class  string `json:"class" doc:"class, such as gpu"`
	Name   string `json:"name" doc:"name of the device within the class"`
}

// Rlimit is the value of a [POSIXRlimit] change.
type Rlimit struct {
	Hard uint64 `json:"hard" doc:"hard limit"`
	Soft uint64 `json:"soft" doc:"soft limit"`
}

// Namespace is the value of a [Namespaces] change.
type Namespace struct {
	Path string `json:"path" doc:"file of an existing namespace to join; empty for a new one"`
}
