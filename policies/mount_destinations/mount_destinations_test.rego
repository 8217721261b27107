package nri.policies.mount_destinations_test

import data.nri.lib_test as t
import data.nri.policies.mount_destinations

stopped := object.union(
	{destination: t.mount(destination, {}) |
		some destination in [
			"/",
			"/bin",
			"/bin/sh",
			"/dev",
			"/etc",
			"/etc/ld-musl-x86_64.path",
			"/etc/ld.so.cache",
			"/etc/ld.so.conf",
			"/etc/ld.so.conf.d/x.conf",
			"/etc/ld.so.preload",
			"/etc/passwd",
			"/etc/profile.d",
			"/etc/shadow",
			"/etc/sudoers.d/x",
			"/lib",
			"/lib/ld-musl-x86_64.so.1",
			"/lib64/ld-linux-x86-64.so.2",
			"/proc",
			"/proc/self",
			"/proc/sys/kernel",
			"/root",
			"/root/.ssh/authorized_keys",
			"/run/nvidia-container-devices/0",
			"/sbin/init",
			"/sys",
			"/sys/fs/cgroup",
			"/sys/kernel/security",
			"/usr",
			"/usr/bin/env",
			"/usr/lib/x86_64-linux-gnu/libc.so.6",
			"/usr/local",
			"/usr/local/bin",
			"/var/run/nvidia-container-devices",
		]
	},
	{
		"a tmpfs over a mask": t.mount("/proc/kcore", {"type": "tmpfs", "resolvedSource": ""}),
		"replaced": object.union(t.mount("/sys", {}), {"op": "replace"}),
		"a mask taken away": t.removal("mount", {"key": "/proc/acpi"}),
		"a file system of the kernel taken away": t.removal("mount", {"key": "/sys"}),
		"cgroups taken away": t.removal("mount", {"key": "/sys/fs/cgroup"}),
	},
)

passed := object.union(
	{destination: t.mount(destination, {}) |
		some destination in [
			"/data",
			"/dev/mqueue",
			"/dev/shm",
			"/etc/hosts",
			"/etc/ld.so.preloads",
			"/etc/resolv.conf",
			"/etc/ssl/certs/ca.crt",
			"/libs",
			"/mnt/proc",
			"/opt/nvidia/lib",
			"/procs",
			"/run",
			"/run/secrets",
			"/sysroot",
			"/tmp",
			"/usr/local/nvidia",
			"/usr/share/zoneinfo",
			"/var/run/secrets/kubernetes.io/serviceaccount",
		]
	},
	{
		"data taken away": t.removal("mount", {"key": "/data"}),
		"a host file taken away": t.removal("mount", {"key": "/etc/hosts"}),
		"beside the kernel's, taken away": t.removal("mount", {"key": "/procs"}),
	},
)

test_stops[note] if {
	some note, c in stopped
	t.ids(mount_destinations.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(mount_destinations.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(mount_destinations.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(mount_destinations.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(mount_destinations.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	mount_destinations.deny == set() with input as t.review([])
}

# The places that are orders to a hook lie in directories that are mounted often.
test_holders_are_complete if {
	code := {place | some place in mount_destinations.guarded; not contains(place, "nvidia")}
	mount_destinations.holders == t.parents(code) | {"/dev"}
}

test_messages if {
	{e.msg | some e in mount_destinations.deny} == {
		concat("", [
			"a mount at /etc/ld.so.preload would change what the container's programs are, ",
			"or what they see of the kernel; if this is meant, grant it in the configuration",
		]),
		concat("", [
			"the mount at /proc/acpi would be taken away, which may uncover what the runtime hides of the kernel; ",
			"if this is meant, grant it in the configuration",
		]),
	} with input as t.review([t.mount("/etc/ld.so.preload", {}), t.removal("mount", {"key": "/proc/acpi"})])
}
