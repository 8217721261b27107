# METADATA
# title: Kernel parameters
# description: >-
#   Only the parameters that Kubernetes calls safe are let through: they are kept apart
#   between pods and do no harm to others. Where the container shares the host's network
#   or IPC namespace, they are the host's own, and none is safe.
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.sysctls

import data.nri.lib

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.sysctl
	not c.key in safe
	c.op != "remove"
	not c.granted
	msg := sprintf("kernel parameter %s is not among those that are safe; %s", [c.key, lib.lift])
}

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.sysctl
	c.key in safe
	c.op != "remove"
	not c.granted
	some prefix, namespace in owner
	startswith(c.key, prefix)
	shared(namespace)
	msg := sprintf(
		"kernel parameter %s would be set for the host, whose %s namespace the container shares; %s",
		[c.key, namespace, lib.lift],
	)
}

# owner: the namespace that a parameter belongs to.
owner := {"kernel.": "ipc", "net.": "network"}

# shared: the runtime listed the namespaces of the container or of its pod, and this one
# is not there. Of a container, containerd lists also those of the host, as its pod's,
# so that only the pod tells.
shared(namespace) if lacks(input.container.linux.namespaces, namespace)

shared(namespace) if lacks(input.pod.linux.namespaces, namespace)

lacks(namespaces, type) if {
	count(namespaces) > 0
	not type in {n.type | some n in namespaces}
}

# safe: Kubernetes' safe sysctls, as of 1.32 (Pod Security Standards, baseline).
safe := {
	"kernel.shm_rmid_forced",
	"net.ipv4.ip_local_port_range",
	"net.ipv4.ip_local_reserved_ports",
	"net.ipv4.ip_unprivileged_port_start",
	"net.ipv4.ping_group_range",
	"net.ipv4.tcp_fin_timeout",
	"net.ipv4.tcp_keepalive_intvl",
	"net.ipv4.tcp_keepalive_probes",
	"net.ipv4.tcp_keepalive_time",
	"net.ipv4.tcp_rmem",
	"net.ipv4.tcp_syncookies",
	"net.ipv4.tcp_wmem",
}
