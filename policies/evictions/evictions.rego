# METADATA
# title: Evictions
# description: >-
#   A plugin that asks for an eviction stops a container, which may be anybody's.
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.evictions

import data.nri.lib

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.eviction
	not c.granted
	msg := sprintf("container %s would be stopped, for the reason %q; %s", [c.key, c.value, lib.lift])
}
