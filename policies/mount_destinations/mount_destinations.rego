# METADATA
# title: Sensitive places in the container
# description: >-
#   A mount in the right place makes every program of a container run other code, or
#   uncovers what the runtime hides: the dynamic loader and its configuration, the
#   directories of programs and libraries, accounts, /proc and /sys. Taking away a mount
#   of the kernel's file systems, or what covers a part of them, counts too. One place
#   is an order to a device hook.
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.mount_destinations

import data.nri.lib

# The lists are bound before the loop: looking a rule up for every mount costs more
# than comparing.

deny contains {"change": c.id, "msg": message(c)} if {
	dirs := guarded
	some c in input.changes.mount
	strings.any_prefix_match(concat("", [c.key, "/"]), dirs)
	c.op != "remove"
	not c.granted
}

deny contains {"change": c.id, "msg": message(c)} if {
	dirs := holders
	some c in input.changes.mount
	c.key in dirs
	c.op != "remove"
	not c.granted
}

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.mount
	c.op == "remove"
	strings.any_prefix_match(concat("", [c.key, "/"]), kernel)
	not c.granted
	msg := sprintf(
		"the mount at %s would be taken away, which may uncover what the runtime hides of the kernel; %s",
		[c.key, lib.lift],
	)
}

message(c) := sprintf(
	"a mount at %s would change what the container's programs are, or what they see of the kernel; %s",
	[c.key, lib.lift],
)

# holders hold one of the guarded places, or more; and /dev, below which anything
# may be mounted.
holders := {"/", "/dev", "/etc", "/root", "/usr", "/usr/local"}

# kernel: file systems that show the kernel and control it.
kernel := {"/proc/", "/sys/"}

# guarded: these, and what decides which code the container's processes run and as
# whom: the loaders of glibc and musl with their configuration, programs, libraries,
# what shells read when they start, accounts.
guarded := {
	"/bin/",
	"/etc/bash.bashrc/",
	"/etc/bashrc/",
	"/etc/environment/",
	"/etc/group/",
	"/etc/gshadow/",
	"/etc/ld-musl-",
	"/etc/ld.so.cache/",
	"/etc/ld.so.conf.d/",
	"/etc/ld.so.conf/",
	"/etc/ld.so.preload/",
	"/etc/nsswitch.conf/",
	"/etc/pam.d/",
	"/etc/passwd/",
	"/etc/profile.d/",
	"/etc/profile/",
	"/etc/shadow/",
	"/etc/sudoers.d/",
	"/etc/sudoers/",
	"/lib/",
	"/lib32/",
	"/lib64/",
	"/libx32/",
	"/proc/",
	"/root/.ssh/",
	"/sbin/",
	"/sys/",
	"/usr/bin/",
	"/usr/lib/",
	"/usr/lib32/",
	"/usr/lib64/",
	"/usr/libexec/",
	"/usr/libx32/",
	"/usr/local/bin/",
	"/usr/local/lib/",
	"/usr/local/lib64/",
	"/usr/local/sbin/",
	"/usr/sbin/",
	# A mount in here tells NVIDIA's container toolkit to add devices (its option
	# accept-nvidia-visible-devices-as-volume-mounts).
	"/run/nvidia-container-devices/",
	"/var/run/nvidia-container-devices/",
}
