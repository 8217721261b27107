# METADATA
# title: Path of the cgroup
# description: >-
#   A container that is moved to another cgroup escapes the limits and the accounting of
#   its pod, or takes its place among those of the host's services.
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
