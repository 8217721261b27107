package nri.policies.annotations_test

import data.nri.lib_test as t
import data.nri.policies.annotations

annotation(name) := t.change("annotation", {"key": name, "value": "x"})

stopped := object.union(
	{name: annotation(name) |
		some name in [
			"aws.firecracker.vm.id",
			"bundle",
			"cdi.k8s.io/vendor_device",
			"container.apparmor.security.beta.kubernetes.io/web",
			"dev.gvisor.flag.network",
			"dev.gvisor.spec.mount.data.share",
			"io.containerd.runc.v2.group",
			"io.katacontainers.config.hypervisor.kernel",
			"io.kubernetes.cri-o.Devices",
			"io.kubernetes.cri.sandbox-id",
			"io.microsoft.virtualmachine.lcow.bootfilesrootpath",
			"krun.cpus",
			"module.wasm.image/variant",
			"org.criu.config",
			"org.systemd.property.DeviceAllow",
			"run.oci.handler",
			"run.oci.seccomp.plugins",
			"seccomp-profile.kubernetes.cri-o.io",
			"devices.crio.io",
			"seccomp-profile.crio.io/web",
		]
	},
	{
		"replaced": object.union(annotation("run.oci.handler"), {"op": "replace"}),
		"taken away": t.removal("annotation", {"key": "io.katacontainers.config.runtime.sandbox_cgroup_only", "old": "true"}),
	},
)

passed := object.union(
	{name: annotation(name) |
		some name in [
			"example.com/team",
			"app.kubernetes.io/name",
			"bundle-version",
			"prometheus.io/scrape",
			"org.opencontainers.image.source",
			"run.ocicat",
			"x.run.oci.handler",
			"io.katacontainersx",
			"dev.gvisorx",
			"crio.io",
			"Run.oci.handler",
		]
	},
	{"taken away": t.removal("annotation", {"key": "example.com/team", "old": "web"})},
)

test_stops[note] if {
	some note, c in stopped
	t.ids(annotations.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(annotations.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(annotations.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(annotations.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(annotations.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	annotations.deny == set() with input as t.review([])
}

test_message if {
	{e.msg | some e in annotations.deny} == {concat("", [
		"container runtimes act on annotation run.oci.handler; ",
		"if this is meant, grant it in the configuration",
	])} with input as t.review([annotation("run.oci.handler")])
}
