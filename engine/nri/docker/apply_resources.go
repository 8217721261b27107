package docker

import (
	"cmp"
	"math"

	"github.com/containerd/nri/pkg/api"
)

// resources sets what NRI's generator sets. There are no swap, reservation and so on
// in that, but a memory limit is one for memory and swap together.
func (x *change) resources(r *api.LinuxResources) {
	if r == nil {
		return
	}
	x.cpu(r.GetCpu())
	switch limit := r.GetMemory().GetLimit().GetValue(); {
	case limit == 0: // the generator leaves everything as it is
	case limit == unlimited:
		x.host.Memory, x.host.MemorySwap = 0, unlimited
	case limit < 0:
		x.refuse("linux.resources.memory.limit: %d is negative", limit)
	default:
		x.host.Memory, x.host.MemorySwap = limit, limit
	}
	if r.Pids != nil {
		switch limit := r.Pids.GetLimit(); {
		case limit == 0:
			x.refuse("linux.resources.pids.limit: Docker takes 0 for no limit")
		case limit > 0: // the generator leaves the limit as it is for a negative one
			x.host.PidsLimit = &limit
		}
	}
	for _, rule := range r.GetDevices() {
		x.deviceRule(rule)
	}
}

// unlimited is how Docker and the kernel spell that there is no limit.
const unlimited = -1

// cpu sets what is given; 0 takes a setting back, for the OCI runtime as for Docker.
func (x *change) cpu(c *api.LinuxCPU) {
	h := &x.host
	if c.GetPeriod() != nil || c.GetQuota() != nil {
		h.CPUPeriod, h.CPUQuota = bandwidth(&h.Resources)
		h.NanoCPUs = 0
	}
	const name = "linux.resources.cpu."
	unsigned(&x.refusals, name+"shares", &h.CPUShares, c.GetShares())
	unsigned(&x.refusals, name+"period", &h.CPUPeriod, c.GetPeriod())
	unsigned(&x.refusals, name+"realtimePeriod", &h.CPURealtimePeriod, c.GetRealtimePeriod())
	signed(&x.refusals, name+"quota", &h.CPUQuota, c.GetQuota())
	signed(&x.refusals, name+"realtimeRuntime", &h.CPURealtimeRuntime, c.GetRealtimeRuntime())
	h.CpusetCpus = cmp.Or(c.GetCpus(), h.CpusetCpus)
	h.CpusetMems = cmp.Or(c.GetMems(), h.CpusetMems)
}

// unsigned sets a number of Docker's, which are all signed.
func unsigned(r *refusals, name string, to *int64, v *api.OptionalUInt64) {
	switch n := v.GetValue(); {
	case v == nil:
	case n > math.MaxInt64:
		r.refuse("%s: %d is too large", name, n)
		*to = math.MaxInt64
	default:
		*to = int64(n)
	}
}

// signed sets a number that may be -1 for no limit.
func signed(r *refusals, name string, to *int64, v *api.OptionalInt64) {
	switch n := v.GetValue(); {
	case v == nil:
	case n < unlimited:
		r.refuse("%s: %d is negative", name, n)
	default:
		*to = n
	}
}
