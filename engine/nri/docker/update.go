package docker

import (
	"github.com/containerd/nri/pkg/api"
	"github.com/moby/moby/api/types/container"
)

// updatable are the fields of an update that [Update] translates: those that a daemon
// hands on to the OCI runtime of a running container.
var updatable = known{
	"cpu":                parts,
	"cpu.cpus":           whole,
	"cpu.mems":           whole,
	"cpu.period":         whole,
	"cpu.quota":          whole,
	"cpu.shares":         whole,
	"memory":             parts,
	"memory.limit":       whole,
	"memory.reservation": whole,
	"memory.swap":        whole,
	"pids":               whole,
}

// Update returns approved resources of a container as Docker's update request takes
// them. The zero value of a field means that it stays as it is, and so does one that
// is not set in r; therefore a limit of 0 cannot be expressed. A limit for processes
// of -1 is none.
//
// Unlike in an adjustment, a memory limit is one for memory alone; Docker refuses one
// above the container's limit for memory and swap unless memory.swap is given too.
//
// What cannot be expressed is a [*Unsupported] error that names all of it.
func Update(r *api.LinuxResources) (*container.UpdateConfig, error) {
	out := &container.UpdateConfig{}
	if r == nil {
		return out, nil
	}
	var refused refusals
	refused.check(r, updatable)
	memory, cpu := r.GetMemory(), r.GetCpu()
	signed(&refused, "memory.limit", &out.Memory, memory.GetLimit())
	signed(&refused, "memory.reservation", &out.MemoryReservation, memory.GetReservation())
	signed(&refused, "memory.swap", &out.MemorySwap, memory.GetSwap())
	unsigned(&refused, "cpu.shares", &out.CPUShares, cpu.GetShares())
	unsigned(&refused, "cpu.period", &out.CPUPeriod, cpu.GetPeriod())
	signed(&refused, "cpu.quota", &out.CPUQuota, cpu.GetQuota())
	out.CpusetCpus, out.CpusetMems = cpu.GetCpus(), cpu.GetMems()
	for _, limit := range []struct {
		name     string
		set      bool
		n, least int64
	}{
		{"memory.limit", memory.GetLimit() != nil, out.Memory, 1},
		{"memory.reservation", memory.GetReservation() != nil, out.MemoryReservation, 1},
		{"memory.swap", memory.GetSwap() != nil, out.MemorySwap, 1},
		{"cpu.shares", cpu.GetShares() != nil, out.CPUShares, 1},
		{"cpu.period", cpu.GetPeriod() != nil, out.CPUPeriod, 1},
		{"cpu.quota", cpu.GetQuota() != nil, out.CPUQuota, unlimited},
	} {
		if limit.set && (limit.n == 0 || limit.n < limit.least) {
			refused.refuse("%s: %d leaves a running container as it is", limit.name, limit.n)
		}
	}
	if r.Pids != nil {
		limit := max(r.Pids.GetLimit(), unlimited)
		if limit == 0 {
			refused.refuse("pids.limit: Docker takes 0 for no limit")
		}
		out.PidsLimit = &limit
	}
	if err := refused.err(); err != nil {
		return nil, err
	}
	return out, nil
}
