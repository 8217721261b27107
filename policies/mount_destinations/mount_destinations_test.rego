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
			"/etc/alternatives/java",
			"/etc/cron.d/x",
			"/etc/crontab",
			"/etc/init.d",
			"/etc/inittab",
			"/etc/ld-musl-x86_64.path",
			"/etc/ld.so.cache",
			"/etc/ld.so.conf",
			"/etc/ld.so.conf.d/x.conf",
			"/etc/ld.so.preload",
			"/etc/passwd",
			"/etc/perl/sitecustomize.pl",
			"/etc/pki/tls",
			"/etc/profile.d",
			"/etc/python3.11/sitecustomize.py",
			"/etc/shadow",
			"/etc/ssl",
			"/etc/ssl/openssl.cnf",
			"/etc/sudoers.d/x",
			"/etc/systemd/system/x.service",
			"/etc/zsh/zshenv",
			"/etc/zshenv",
			"/lib",
			"/lib/ld-musl-x86_64.so.1",
			"/lib64/ld-linux-x86-64.so.2",
			"/proc",
			"/proc/self",
			"/proc/sys/kernel",
			"/root",
			"/root/.bash_profile",
			"/root/.bashrc",
			"/root/.config/git/config",
			"/root/.gitconfig",
			"/root/.local/lib/python3.11/site-packages",
			"/root/.profile",
			"/root/.ssh/authorized_keys",
			"/root/.zshrc",
			"/run/nvidia-container-devices/0",
			"/run/secrets",
			"/run/secrets/kubernetes.io/serviceaccount/token",
			"/sbin/init",
			"/sys",
			"/sys/fs/cgroup",
			"/sys/kernel/security",
			"/usr",
			"/usr/bin/env",
			"/usr/lib/x86_64-linux-gnu/libc.so.6",
			"/usr/local",
			"/usr/local/bin",
			"/usr/share",
			"/usr/share/perl5",
			"/var/run/nvidia-container-devices",
			"/var/run/secrets/kubernetes.io",
			"/var/run/secrets/kubernetes.io/serviceaccount",
			"/var/spool/cron/root",
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
			"/etc/ssl/openssl.cnf.d",
			"/opt/nvidia/lib",
			"/procs",
			"/run",
			"/root/.cache/models",
			"/root/data",
			"/run/secrets/db",
			"/run/secrets/kubernetes.io/other",
			"/sysroot",
			"/tmp",
			"/usr/local/nvidia",
			"/usr/share/zoneinfo",
			"/var/log/app",
			"/var/run",
			"/var/run/secrets/eks.amazonaws.com/serviceaccount",
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

test_the_kernel_is_guarded if object.subset(mount_destinations.guarded, mount_destinations.kernel)

# Orders to a hook and credentials lie in directories that are mounted often.
test_holders_are_complete if {
	guarded := {place | some place in mount_destinations.guarded; not contains(place, "nvidia")}
	often := {"/run", "/var", "/var/run"}
	mount_destinations.holders == (t.parents(guarded) - often) | {"/dev"}
}

test_messages if {
	{e.msg | some e in mount_destinations.deny} == {
		concat("", [
			"a mount at /etc/ld.so.preload would change what the container's programs are, ",
			"who they act as, or what they see of the kernel; if this is meant, grant it in the configuration",
		]),
		concat("", [
			"the mount at /proc/acpi would be taken away, which may uncover what the runtime hides of the kernel; ",
			"if this is meant, grant it in the configuration",
		]),
	} with input as t.review([t.mount("/etc/ld.so.preload", {}), t.removal("mount", {"key": "/proc/acpi"})])
}
