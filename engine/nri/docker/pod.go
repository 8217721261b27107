package docker

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/containerd/nri/pkg/api"
	"github.com/moby/moby/api/types/container"
)

// Pod returns the pod that stands for a container of Docker's, which has no pods:
// each container is one of its own, with the container's id and name and in no
// namespace. Labels and annotations are the container's alone. From a running
// container's pod plugins learn the network namespace and the addresses.
func Pod(c *container.InspectResponse) *api.PodSandbox {
	_, host := settings(c)
	p := &api.PodSandbox{
		Id:             c.ID,
		Name:           nameOf(c),
		RuntimeHandler: host.Runtime,
		Linux:          &api.LinuxPodSandbox{CgroupParent: host.CgroupParent, Namespaces: namespacesOf(c)},
		Ips:            addressesOf(c.NetworkSettings),
	}
	if c.State != nil {
		p.Pid = uint32(max(c.State.Pid, 0))
	}
	return p
}

// addressesOf is ordered by the names of the networks.
func addressesOf(n *container.NetworkSettings) []string {
	if n == nil {
		return nil
	}
	var ips []string
	for _, name := range slices.Sorted(maps.Keys(n.Networks)) {
		e := n.Networks[name]
		if e == nil {
			continue
		}
		for _, ip := range []netip.Addr{e.IPAddress, e.GlobalIPv6Address} {
			if ip.IsValid() {
				ips = append(ips, ip.String())
			}
		}
	}
	return ips
}
