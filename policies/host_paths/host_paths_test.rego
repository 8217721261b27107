package nri.policies.host_paths_test

import data.nri.lib_test as t
import data.nri.policies.host_paths

overlay(layers) := t.mount("/mnt", {
	"type": "overlay",
	"source": "overlay",
	"resolvedSource": "",
	"options": [],
	"layers": layers,
	"readOnly": true,
})

# known is a bind mount of a source that the host's links also give other names to.
known(source, aliases) := t.mount("/mnt", {"source": source, "resolvedSource": source, "aliases": aliases})

stopped := {
	"the host's root": t.bind("/"),
	"a place": t.bind("/etc"),
	"below a place": t.bind("/etc/kubernetes/admin.conf"),
	"a directory that holds one": t.bind("/var/lib"),
	"a directory that holds one further up": t.bind("/var"),
	"the root's other name": t.bind("/usr"),
	"kernel": t.bind("/boot"),
	"devices": t.bind("/dev/sda"),
	"processes": t.bind("/proc/1/root"),
	"kernel file systems": t.bind("/sys/fs/cgroup"),
	"root's home": t.bind("/root/.ssh"),
	"runtime's socket": t.bind("/run/containerd/containerd.sock"),
	"runtime's socket by its old name": t.bind("/var/run/docker.sock"),
	"NRI's socket": t.bind("/var/run/nri/nri.sock"),
	"CRI-O's socket": t.bind("/run/crio/crio.sock"),
	"containerd": t.bind("/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs"),
	"docker": t.bind("/var/lib/docker/volumes"),
	"podman and CRI-O": t.bind("/var/lib/containers/storage"),
	"buildkit": t.bind("/var/lib/buildkit"),
	"kubelet": t.bind("/var/lib/kubelet/pki"),
	"kubelet's pods": t.bind("/var/lib/kubelet/pods/1/volumes"),
	"k3s": t.bind("/var/lib/rancher/k3s/agent"),
	"etcd": t.bind("/var/lib/etcd"),
	"CNI's configuration": t.bind("/etc/cni/net.d"),
	"CNI's plugins": t.bind("/opt/cni/bin"),
	"CNI's state": t.bind("/var/lib/cni"),
	"NRI's plugins": t.bind("/opt/nri/plugins"),
	"GKE's programs": t.bind("/home/kubernetes/bin"),
	"all homes, and GKE's programs": t.bind("/home"),
	"the boot loader": t.bind("/efi/EFI"),
	"configuration of OCI hooks": t.bind("/usr/share/containers/oci/hooks.d"),
	"what holds that": t.bind("/usr/share/containers"),
	"OCI hooks": t.bind("/usr/libexec/oci/hooks.d"),
	"Calico": t.bind("/var/lib/calico"),
	"Multus": t.bind("/var/lib/multus"),
	"CNI's plugins, local": t.bind("/usr/local/lib/cni"),
	"a place by another name": known("/mnt/docker", ["/var/lib/docker"]),
	"below a place by another name": known("/mnt/docker/volumes", ["/var/lib/docker/volumes"]),
	"what holds a place by another name": known("/mnt/var", ["/srv", "/var"]),
	"one name of several": known("/mnt", ["/home/alice", "/var/lib/kubelet"]),
	"a place by both names": known("/run/containerd", ["/var/run/containerd"]),
	"a layer by another name": object.union(overlay(["/mnt/docker"]), {"value": {"aliases": ["/var/lib/docker"]}}),
	"a link that leads there": t.mount("/mnt", {"source": "/srv/innocent", "resolvedSource": "/etc/shadow"}),
	"a source that cannot be told": t.mount("/mnt", {"source": "rootfs", "resolvedSource": "/"}),
	"a replacement": object.union(t.bind("/etc"), {"op": "replace"}),
	"lower layer": overlay(["/srv/lower", "/etc"]),
	"layer that holds a place": overlay(["/var/lib"]),
	"a layer that cannot be told": overlay(["/srv/lower", "/"]),
	"an overlay of nothing": overlay([]),
}

passed := {
	"elsewhere": t.bind("/srv/data"),
	"beside etc": t.bind("/etcetera"),
	"beside a long name": t.bind("/var/lib/kubelet-data"),
	"beside the runtime": t.bind("/var/lib/containerd2"),
	"next to places": t.bind("/var/lib/nri-resource-policy/c0ffee"),
	"name of a place further down": t.bind("/srv/etc"),
	"had before": t.mount("/mnt", {"resolvedSource": "/var/lib/kubelet/pods/1/volumes/data", "hadSource": true}),
	"other names elsewhere": known("/mnt/home", ["/home/alice", "/opt/models", "/var/lib/dockers"]),
	"had before, by another name": object.union(known("/mnt/docker", ["/var/lib/docker"]), {"value": {"hadSource": true}}),
	"layers elsewhere by other names": object.union(overlay(["/mnt/srv"]), {"value": {"aliases": ["/srv"]}}),
	"layers elsewhere": overlay(["/srv/lower", "/srv/upper"]),
	"tmpfs": t.of_type("tmpfs"),
	"mqueue": t.of_type("mqueue"),
	"taken away": t.removal("mount", {"key": "/mnt", "old": t.bind("/etc").value}),
}

test_stops[note] if {
	some note, c in stopped
	t.ids(host_paths.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(host_paths.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(host_paths.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(host_paths.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(host_paths.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	host_paths.deny == set() with input as t.review([])
}

test_holders_are_complete if host_paths.holders == t.parents(host_paths.places)

# Layers count although the container had a mount of the source.
test_layers_of_a_bind_that_was_there if {
	c := t.mount("/mnt", {"hadSource": true, "layers": ["/etc"]})
	t.ids(host_paths.deny) == {"0"} with input as t.review([c])
}

# A mount that is sensitive by its own name and by others is objected to once.
test_one_objection_to_several_names if {
	count(host_paths.deny) == 1 with input as t.review([known("/run/crio", ["/var/run/crio", "/etc/crio"])])
	count(host_paths.deny) == 1 with input as t.review([known("/mnt", ["/var/lib/docker", "/etc/cni"])])
	layers := object.union(overlay(["/run/crio"]), {"value": {"aliases": ["/var/run/crio"]}})
	count(host_paths.deny) == 1 with input as t.review([layers])
}

test_messages[note] if {
	some note, tc in {
		"below": {"change": t.bind("/run/docker.sock"), "msg": concat("", [
			"/run/docker.sock of the host would be mounted at /mnt; ",
			"/run holds the sockets of the runtime and of the host's services; ",
			"if this is meant, grant it in the configuration",
		])},
		"above": {"change": t.bind("/var/lib"), "msg": concat("", [
			"/var/lib of the host would be mounted at /mnt; ",
			"/var/lib/buildkit is the state of buildkit; ",
			"if this is meant, grant it in the configuration",
		])},
		"by another name": {"change": known("/mnt/data", ["/var/lib/docker"]), "msg": concat("", [
			"/var/lib/docker of the host would be mounted at /mnt by another name; ",
			"/var/lib/docker is the state of docker; ",
			"if this is meant, grant it in the configuration",
		])},
		"a layer": {"change": overlay(["/etc"]), "msg": concat("", [
			"/etc of the host would be mounted at /mnt; ",
			"/etc configures the host; ",
			"if this is meant, grant it in the configuration",
		])},
	}
	{e.msg | some e in host_paths.deny} == {tc.msg} with input as t.review([tc.change])
}
