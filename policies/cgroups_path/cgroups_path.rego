# METADATA
# title: The container's cgroup
# description: >-
#   A container that is moved to another cgroup escapes the limits and the accounting of
#   its pod, or takes its place among those of the host's services. The other way round, the
#   cgroup's own files (cgroup.procs, cgroup.kill, ...), which are no limits, draw processes of
#   the host into the container's cgroup, where they end with it.
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.cgroups_path

import data.nri.lib

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.cgroupsPath
	not c.granted
	msg := sprintf("the container's cgroup would be %q instead of %q; %s", [c.value, c.old, lib.lift])
}

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.resource
	startswith(c.key, "unified.cgroup.")
	c.op != "remove"
	not c.granted
	msg := sprintf("%s is no limit but controls which processes are in a cgroup; %s", [c.key, lib.lift])
}
