# METADATA
# title: Types of mounts
# description: >-
#   Bind mounts, tmpfs, mqueue and overlays are what containers are made of, and other
#   policies look at them. Any other type of mount is a view of the kernel (proc, sysfs,
#   cgroup, bpf, debugfs), a disk that other containers or the host use, or a server that
#   nobody checked.
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.mount_types

import data.nri.lib

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.mount
	not c.value.type in {"bind", "mqueue", "overlay", "tmpfs"}
	c.op != "remove"
	not c.granted
	msg := sprintf(
		"a file system of type %q would be mounted at %s, only bind, mqueue, overlay and tmpfs are let through; %s",
		[c.value.type, c.key, lib.lift],
	)
}
