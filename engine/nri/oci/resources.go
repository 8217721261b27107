package oci

import (
	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

func (g *generator) resources() *rspec.LinuxResources { return ensure(&g.linux().Resources) }
func (g *generator) cpu() *rspec.LinuxCPU             { return ensure(&g.resources().CPU) }
func (g *generator) memory() *rspec.LinuxMemory       { return ensure(&g.resources().Memory) }

func (g *generator) SetLinuxResourcesCPUCpus(cpus string)         { g.cpu().Cpus = cpus }
func (g *generator) SetLinuxResourcesCPUMems(mems string)         { g.cpu().Mems = mems }
func (g *generator) SetLinuxResourcesCPUShares(n uint64)          { g.cpu().Shares = &n }
func (g *generator) SetLinuxResourcesCPUPeriod(usec uint64)       { g.cpu().Period = &usec }
func (g *generator) SetLinuxResourcesCPUQuota(usec int64)         { g.cpu().Quota = &usec }
func (g *generator) SetLinuxResourcesCPURealtimePeriod(us uint64) { g.cpu().RealtimePeriod = &us }
func (g *generator) SetLinuxResourcesCPURealtimeRuntime(usec int64) {
	g.cpu().RealtimeRuntime = &usec
}

func (g *generator) SetLinuxResourcesMemoryLimit(bytes int64) { g.memory().Limit = &bytes }
func (g *generator) SetLinuxResourcesMemorySwap(bytes int64)  { g.memory().Swap = &bytes }

func (g *generator) AddLinuxResourcesHugepageLimit(size string, bytes uint64) {
	r := g.resources()
	r.HugepageLimits = put(r.HugepageLimits, rspec.LinuxHugepageLimit{Pagesize: size, Limit: bytes},
		func(l rspec.LinuxHugepageLimit) bool { return l.Pagesize == size })
}

func (g *generator) AddLinuxResourcesUnified(key, value string) {
	set(&g.resources().Unified, key, value)
}

// AddLinuxResourcesDevice appends: rules are obeyed in order, a later one can
// take back what an earlier one gave.
func (g *generator) AddLinuxResourcesDevice(allow bool, kind string, major, minor *int64, access string) {
	r := g.resources()
	r.Devices = append(r.Devices, rspec.LinuxDeviceCgroup{
		Allow: allow, Type: kind, Major: major, Minor: minor, Access: access,
	})
}
