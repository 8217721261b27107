# METADATA
# title: Writable mounts of the host
# description: >-
#   What a container writes to the host outlives it, is read by others, and can be a
#   program or a configuration that the host trusts. A mount of the host is read-only,
#   unless the container could write to that very source before. An overlay with an
#   upper directory writes to the host as well.
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.writable_mounts

import data.nri.lib

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.mount
	not c.value.readOnly
	c.value.type == "bind"
	not c.value.hadWritable
	not c.granted
	msg := sprintf(
		"%s of the host would be writable at %s; mount it read-only, or %s",
		[c.value.resolvedSource, c.key, lib.lift],
	)
}

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.mount
	c.value.type == "overlay"
	not c.value.readOnly
	not c.granted
	some option in c.value.options
	contains(option, "upperdir")
	msg := sprintf(
		"the overlay at %s would be written to a directory of the host; leave out its upper directory, or %s",
		[c.key, lib.lift],
	)
}
