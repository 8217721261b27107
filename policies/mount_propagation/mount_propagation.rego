# METADATA
# title: Shared mount propagation
# description: >-
#   With shared propagation, what a container mounts appears on the host, where
#   everybody else trusts it. What the container had mounted with the same propagation
#   before is not loosened.
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.mount_propagation

import data.nri.lib

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.mount
	c.value.propagation in {"rshared", "shared"}
	not c.value.hadPropagation
	not c.granted
	msg := sprintf(
		"with %s propagation at %s, what the container mounts would appear on the host; %s",
		[c.value.propagation, c.key, lib.lift],
	)
}
