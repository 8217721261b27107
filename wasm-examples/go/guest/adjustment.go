package guest

import (
	"iter"
	"strings"
)

// Adjustment is what plugins want to change of the container. What it has was set by
// a plugin; what it lacks stays as it is in [Request.Container].
type Adjustment struct{ Message }

// Annotations that are set. A name that begins with "-" is a removal.
func (a Adjustment) Annotations() map[string]string { return a.Map(2) }

// Mounts that are added. A destination that begins with "-" is a removal.
func (a Adjustment) Mounts() iter.Seq[Mount] { return each(a.Message, 3, asMount) }

// Env are the variables that are set. A name that begins with "-" is a removal.
func (a Adjustment) Env() iter.Seq[Variable] {
	return each(a.Message, 4, func(m Message) Variable { return Variable{m} })
}

// Hooks are the OCI hooks that are added, each with its stage: prestart,
// createRuntime, createContainer, startContainer, poststart, poststop.
func (a Adjustment) Hooks() iter.Seq2[string, Hook] { return hooks(a.Nested(5)) }

// Rlimits that are set.
func (a Adjustment) Rlimits() iter.Seq[Rlimit] { return each(a.Message, 7, asRlimit) }

// CDIDevices are qualified names of CDI devices that are added: vendor/class=name.
func (a Adjustment) CDIDevices() iter.Seq[string] { return cdiDevices(a.Message, 8) }

// Args are the command that replaces the container's; none leaves it.
func (a Adjustment) Args() iter.Seq[string] { return a.Texts(9) }

// Linux is what is changed of the container on Linux alone.
func (a Adjustment) Linux() LinuxAdjustment { return LinuxAdjustment{a.Nested(6)} }

// LinuxAdjustment is the part of an [Adjustment] that is about Linux.
type LinuxAdjustment struct{ Message }

// Devices that are added. A path that begins with "-" is a removal.
func (l LinuxAdjustment) Devices() iter.Seq[Device] { return each(l.Message, 1, asDevice) }

// Resources that are set.
func (l LinuxAdjustment) Resources() Resources { return Resources{l.Nested(2)} }

// CgroupsPath is another cgroup, empty where it stays.
func (l LinuxAdjustment) CgroupsPath() string { return l.Text(3) }

// OOMScoreAdj is another OOM score, and whether there is one.
func (l LinuxAdjustment) OOMScoreAdj() (int64, bool) { return l.OptionalInt(4) }

// HasSeccomp says whether the seccomp profile is replaced; [Message.Nested] of 6 has it.
func (l LinuxAdjustment) HasSeccomp() bool { return l.Has(6) }

// Namespaces that are replaced. A type that begins with "-" is a removal.
func (l LinuxAdjustment) Namespaces() iter.Seq[Namespace] { return each(l.Message, 7, asNamespace) }

// Sysctl are the kernel parameters that are set. A name that begins with "-" is a
// removal.
func (l LinuxAdjustment) Sysctl() map[string]string { return l.Map(8) }

// Removal tells whether a name of an adjustment stands for a removal, and of what.
func Removal(name string) (string, bool) { return strings.CutPrefix(name, "-") }

// Variable is a variable of the environment.
type Variable struct{ Message }

// Name is the key as a plugin wrote it: an equals sign in it ends the variable's name.
func (v Variable) Name() string { return v.Text(1) }

// Value is what it is set to.
func (v Variable) Value() string { return v.Text(2) }

// Rlimit is a POSIX limit.
type Rlimit struct{ Message }

func asRlimit(m Message) Rlimit { return Rlimit{m} }

// Type is its name, such as RLIMIT_NOFILE.
func (r Rlimit) Type() string { return r.Text(1) }

// Hard is the hard limit.
func (r Rlimit) Hard() uint64 { return r.Uint(2) }

// Soft is the soft limit.
func (r Rlimit) Soft() uint64 { return r.Uint(3) }

// Hook is an OCI hook.
type Hook struct{ Message }

// Path of the executable on the host.
func (h Hook) Path() string { return h.Text(1) }

// Args are its arguments, with the name of the program first.
func (h Hook) Args() iter.Seq[string] { return h.Texts(2) }

// Env is its environment, as NAME=value.
func (h Hook) Env() iter.Seq[string] { return h.Texts(3) }

// Timeout in seconds, and whether there is one.
func (h Hook) Timeout() (int64, bool) { return h.OptionalInt(4) }

func hooks(m Message) iter.Seq2[string, Hook] {
	return func(yield func(string, Hook) bool) {
		for i, stage := range []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"} {
			for hook := range m.Each(i + 1) {
				if !yield(stage, Hook{hook}) {
					return
				}
			}
		}
	}
}

func cdiDevices(m Message, number int) iter.Seq[string] {
	return each(m, number, func(m Message) string { return m.Text(1) })
}
