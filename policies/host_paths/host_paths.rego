# METADATA
# title: Sensitive places of the host
# description: >-
#   A mount must not show a container the places from which the host, its services or
#   its containers are controlled, whether it names such a place, something below it
#   or a directory that holds it. Sources are compared with symbolic links resolved, and
#   by the other names that the host's links give to them and to what lies below; the
#   layers of an overlay count like sources. What the container had mounted before is
#   not shown anew.
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.host_paths

import data.nri.lib

# The lists are bound before the loop: looking a rule up for every mount costs more
# than comparing.

deny contains {"change": c.id, "msg": message(c, c.value.resolvedSource)} if {
	dirs := guarded
	some c in input.changes.mount
	strings.any_prefix_match(c.value.resolvedSource, dirs)
	not c.value.hadSource
	not c.granted
}

deny contains {"change": c.id, "msg": message(c, c.value.resolvedSource)} if {
	dirs := places
	some c in input.changes.mount
	c.value.resolvedSource in dirs
	not c.value.hadSource
	not c.granted
}

deny contains {"change": c.id, "msg": message(c, layer)} if {
	some c in input.changes.mount
	some layer in c.value.layers
	not c.granted
	sensitive(layer)
}

# A link of the host's can make /mnt/docker the same place as /var/lib/docker. The first
# such name is enough to say, and none where the mount is objected to by its own.
deny contains {"change": c.id, "msg": message(c, alias)} if {
	some c in input.changes.mount
	some alias in c.value.aliases
	not c.value.hadSource
	not c.granted
	alias == min({name | some name in c.value.aliases; sensitive(name)})
	not shows_itself(c.value)
}

# An overlay whose layers were not understood could be made of anything.
deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.mount
	c.value.type == "overlay"
	count(c.value.layers) == 0
	not c.granted
	msg := sprintf("the overlay at %s names no directory that it is made of; %s", [c.key, lib.lift])
}

# sensitive: the path is a sensitive place, lies in one or holds one.
sensitive(path) if path in places

sensitive(path) if strings.any_prefix_match(path, guarded)

shows_itself(mount) if sensitive(mount.resolvedSource)

shows_itself(mount) if {
	some layer in mount.layers
	sensitive(layer)
}

message(c, path) := sprintf(
	"%s of the host would be mounted at %s%s; %s %s; %s",
	[path, c.key, by_another_name(c, path), lib.place(dir), why[dir], lib.lift],
) if {
	dir := lib.nearest(path, guarded)
}

by_another_name(c, path) := " by another name" if {
	not path in c.value.layers
	path != c.value.resolvedSource
} else := ""

# places: what is guarded itself, and what holds it.
places := holders | {lib.place(dir) | some dir in guarded}

# holders hold one of the guarded places, or more. A source that cannot be told is shown as /.
holders := {
	"/",
	"/home",
	"/opt",
	"/usr",
	"/usr/lib",
	"/usr/libexec",
	"/usr/local",
	"/usr/local/lib",
	"/usr/share",
	"/usr/share/containers",
	"/var",
	"/var/lib",
	"/var/log",
	"/var/snap",
}

guarded := object.keys(why)

# why holds every guarded place and what makes it one: places of the system, of
# container runtimes and their hooks, of Kubernetes, of CNI.
why := {
	"/boot/": "holds the kernel that the host starts with",
	"/dev/": "holds the host's devices",
	"/efi/": "holds what the host starts with",
	"/etc/": "configures the host",
	"/proc/": "shows and controls the host's processes",
	"/root/": "is root's home, with its keys",
	"/run/": "holds the sockets of the runtime and of the host's services",
	"/sys/": "controls the host's kernel",
	"/var/run/": "holds the sockets of the runtime and of the host's services",
	"/opt/containerd/": "holds programs of containerd",
	"/opt/nri/": "holds plugins that the runtime starts",
	"/var/lib/buildkit/": "is the state of buildkit",
	"/var/lib/containerd/": "is the state of containerd",
	"/var/lib/containers/": "is the state of CRI-O and podman",
	"/var/lib/cri-dockerd/": "is the state of cri-dockerd",
	"/var/lib/crio/": "is the state of CRI-O",
	"/var/lib/docker/": "is the state of docker",
	"/var/lib/dockershim/": "is the state of dockershim",
	"/var/lib/incus/": "is the state of Incus",
	"/var/lib/lxc/": "is the state of LXC",
	"/var/lib/lxd/": "is the state of LXD",
	"/var/lib/machines/": "holds the containers of systemd-nspawn",
	"/var/lib/nerdctl/": "is the state of nerdctl",
	"/var/lib/sysbox/": "is the state of Sysbox",
	"/var/snap/lxd/": "is the state of LXD",
	"/usr/libexec/oci/": "holds OCI hooks, which run on the host as root",
	"/usr/share/containers/oci/": "says which OCI hooks run on the host as root",
	"/home/kubernetes/": "holds programs and credentials of GKE's nodes",
	"/usr/libexec/kubernetes/": "holds volume plugins that the kubelet runs",
	"/var/lib/etcd/": "is the cluster's data",
	"/var/lib/k0s/": "is the state of k0s",
	"/var/lib/kube-proxy/": "holds credentials of kube-proxy",
	"/var/lib/kubelet/": "holds the kubelet's credentials and the volumes of all pods",
	"/var/lib/rancher/": "is the state of k3s and RKE2",
	"/var/log/containers/": "holds the logs of all containers",
	"/var/log/pods/": "holds the logs of all pods",
	"/var/snap/microk8s/": "is the state of MicroK8s",
	"/opt/cni/": "holds CNI plugins, which the runtime runs as root",
	"/usr/lib/cni/": "holds CNI plugins, which the runtime runs as root",
	"/usr/libexec/cni/": "holds CNI plugins, which the runtime runs as root",
	"/usr/local/lib/cni/": "holds CNI plugins, which the runtime runs as root",
	"/var/lib/calico/": "is the state of Calico",
	"/var/lib/cni/": "is the state of CNI plugins",
	"/var/lib/multus/": "is the state of Multus",
}
