# METADATA
# title: Fields of a newer NRI
# description: >-
#   A field that this build does not know can do anything, and none of its policies would
#   see it. Where the runtime and its plugins are newer than the guard, update the guard.
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.unknown_fields

import data.nri.lib

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.unknown
	not c.granted
	msg := sprintf(
		"the message has a field that this version of the guard does not know, %s of %d bytes; update the guard, or %s",
		[c.key, c.value, lib.lift],
	)
}
