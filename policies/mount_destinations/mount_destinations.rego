# METADATA
# title: Sensitive places in the container
# description: >-
#   A mount in the right place makes every program of a container run other code, or
#   uncovers what the runtime hides: the dynamic loader and its configuration, the
#   directories of programs and libraries, what shells and interpreters read when they
#   start, accounts and the pod's credentials, /proc and /sys. Taking away a mount of the
#   kernel's file systems, or what covers a part of them, counts too. One place is an
#   order to a device hook.
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
	strings.any_prefix_match(c.key, dirs)
	c.op != "remove"
	not c.granted
}

deny contains {"change": c.id, "msg": message(c)} if {
	dirs := places
	some c in input.changes.mount
	c.key in dirs
	c.op != "remove"
	not c.granted
}

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.mount
	c.op == "remove"
	strings.any_prefix_match(lib.dir(c.key), kernel)
	not c.granted
	msg := sprintf(
		"the mount at %s would be taken away, which may uncover what the runtime hides of the kernel; %s",
		[c.key, lib.lift],
	)
}

message(c) := sprintf(
	"a mount at %s would change what the container's programs are, who they act as, or what they see of the kernel; %s",
	[c.key, lib.lift],
)

# places: what is guarded itself, and what holds it.
places := holders | {lib.place(dir) | some dir in guarded}

# holders hold one of the guarded places, or more; and /dev, below which anything
# may be mounted. Not /run, /var and /var/run: they are mounted often, and the runtime
# mounts credentials on top of them.
holders := {
	"/",
	"/dev",
	"/etc",
	"/etc/pki",
	"/etc/pki/tls",
	"/etc/ssl",
	"/root",
	"/run/secrets",
	"/run/secrets/kubernetes.io",
	"/usr",
	"/usr/local",
	"/usr/local/share",
	"/usr/share",
	"/var/run/secrets",
	"/var/run/secrets/kubernetes.io",
	"/var/spool",
}

# kernel: file systems that show the kernel and control it.
kernel := {"/proc/", "/sys/"}

# guarded: these, and what decides which code the container's processes run and as
# whom. What does not end in a slash is the beginning of several names.
guarded := {
	"/proc/",
	"/sys/",
	# Programs and libraries, and the links that choose among them.
	"/bin/",
	"/etc/alternatives/",
	"/lib/",
	"/lib32/",
	"/lib64/",
	"/libx32/",
	"/sbin/",
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
	# The loaders of glibc and musl.
	"/etc/ld-musl-",
	"/etc/ld.so.cache/",
	"/etc/ld.so.conf.d/",
	"/etc/ld.so.conf/",
	"/etc/ld.so.preload/",
	# Libraries of interpreters; OpenSSL's configuration names modules to load.
	"/etc/perl/",
	"/etc/pki/tls/openssl.cnf/",
	"/etc/python",
	"/etc/ssl/openssl.cnf/",
	"/usr/local/share/perl",
	"/usr/share/perl",
	# What shells read when they start.
	"/etc/bash.bashrc/",
	"/etc/bashrc/",
	"/etc/environment/",
	"/etc/profile.d/",
	"/etc/profile/",
	"/etc/zsh",
	# Root's home: .bashrc and .bash_profile, .zshrc and .zshenv, what git and others are
	# configured to run, programs and libraries of its own, keys.
	"/root/.bash",
	"/root/.config/",
	"/root/.gitconfig/",
	"/root/.local/",
	"/root/.profile/",
	"/root/.ssh/",
	"/root/.z",
	# What init systems and cron start.
	"/etc/cron",
	"/etc/init.d/",
	"/etc/inittab/",
	"/etc/systemd/",
	"/var/spool/cron/",
	# Accounts, and who may become whom.
	"/etc/group/",
	"/etc/gshadow/",
	"/etc/nsswitch.conf/",
	"/etc/pam.d/",
	"/etc/passwd/",
	"/etc/shadow/",
	"/etc/sudoers.d/",
	"/etc/sudoers/",
	# Who the pod is to the cluster.
	"/run/secrets/kubernetes.io/serviceaccount/",
	"/var/run/secrets/kubernetes.io/serviceaccount/",
	# A mount in here tells NVIDIA's container toolkit to add devices (its option
	# accept-nvidia-visible-devices-as-volume-mounts).
	"/run/nvidia-container-devices/",
	"/var/run/nvidia-container-devices/",
}
