package guest

import "iter"

// Namespace is a Linux namespace.
type Namespace struct{ Message }

func asNamespace(m Message) Namespace { return Namespace{m} }

// Type is one of the OCI runtime specification: network, pid, ...
func (n Namespace) Type() string { return n.Text(1) }

// Path of the namespace that is joined, empty for a new one.
func (n Namespace) Path() string { return n.Text(2) }

// Device is a device node.
type Device struct{ Message }

func asDevice(m Message) Device { return Device{m} }

// Path of the node in the container.
func (d Device) Path() string { return d.Text(1) }

// Type is c, b, u or p.
func (d Device) Type() string { return d.Text(2) }

// Major number.
func (d Device) Major() int64 { return d.Int(3) }

// Minor number.
func (d Device) Minor() int64 { return d.Int(4) }

// FileMode of the node, and whether it is given.
func (d Device) FileMode() (uint64, bool) { return d.OptionalUint(5) }

// UID that owns the node, and whether it is given.
func (d Device) UID() (uint64, bool) { return d.OptionalUint(6) }

// GID that owns the node, and whether it is given.
func (d Device) GID() (uint64, bool) { return d.OptionalUint(7) }

// DeviceRule is a rule of the device cgroup.
type DeviceRule struct{ Message }

// Allow says whether the rule allows or denies.
func (d DeviceRule) Allow() bool { return d.Bool(1) }

// Type is a, b or c; empty is a, for all.
func (d DeviceRule) Type() string { return d.Text(2) }

// Major number, and whether it is given; without one the rule is for all.
func (d DeviceRule) Major() (int64, bool) { return d.OptionalInt(3) }

// Minor number, and whether it is given; without one the rule is for all.
func (d DeviceRule) Minor() (int64, bool) { return d.OptionalInt(4) }

// Access is made of r, w and m.
func (d DeviceRule) Access() string { return d.Text(5) }

// Resources are settings of a container's cgroup. Those that are not there are not
// set.
type Resources struct{ Message }

// MemoryLimit in bytes.
func (r Resources) MemoryLimit() (int64, bool) { return r.Nested(1).OptionalInt(1) }

// MemoryReservation in bytes.
func (r Resources) MemoryReservation() (int64, bool) { return r.Nested(1).OptionalInt(2) }

// MemorySwap is the limit of memory and swap together, in bytes.
func (r Resources) MemorySwap() (int64, bool) { return r.Nested(1).OptionalInt(3) }

// CPUShares are the CPU's weight.
func (r Resources) CPUShares() (uint64, bool) { return r.Nested(2).OptionalUint(1) }

// CPUQuota in microseconds for each period.
func (r Resources) CPUQuota() (int64, bool) { return r.Nested(2).OptionalInt(2) }

// CPUPeriod in microseconds.
func (r Resources) CPUPeriod() (uint64, bool) { return r.Nested(2).OptionalUint(3) }

// CPUs that may be used, as a list such as 0-3,7; empty where it is not set.
func (r Resources) CPUs() string { return r.Nested(2).Text(6) }

// Mems are the memory nodes that may be used, as a list; empty where it is not set.
func (r Resources) Mems() string { return r.Nested(2).Text(7) }

// Hugepages are limits in bytes by size of page, such as 2MB.
func (r Resources) Hugepages() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for limit := range r.Each(3) {
			if !yield(limit.Text(1), limit.Uint(2)) {
				return
			}
		}
	}
}

// BlockIOClass is a name of the runtime's configuration.
func (r Resources) BlockIOClass() (string, bool) { return r.OptionalText(4) }

// RDTClass is a name of the runtime's configuration.
func (r Resources) RDTClass() (string, bool) { return r.OptionalText(5) }

// Unified are files of the cgroup, version 2.
func (r Resources) Unified() map[string]string { return r.Map(6) }

// DeviceRules of the device cgroup.
func (r Resources) DeviceRules() iter.Seq[DeviceRule] {
	return each(r.Message, 7, func(m Message) DeviceRule { return DeviceRule{m} })
}

// PidsLimit is how many processes there may be, and whether it is set.
func (r Resources) PidsLimit() (int64, bool) { return r.Nested(8).Int(1), r.Has(8) }
