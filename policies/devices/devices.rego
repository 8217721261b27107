# METADATA
# title: Devices
# description: >-
#   A device node is a way past every other boundary: a disk holds the host's files, a GPU
#   or a network card reads memory. A rule of the device cgroup is the other half of one,
#   and can as well take away what a container relies on.
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.devices

import data.nri.lib

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.device
	c.op != "remove"
	not c.granted
	msg := sprintf(
		"device %s (%s %d:%d) would be added; %s",
		[c.key, c.value.type, c.value.major, c.value.minor, lib.lift],
	)
}

# The guard writes the message, in the notation of the device cgroup.
deny contains {"change": c.id} if {
	some c in input.changes.deviceRule
	c.op != "remove"
	not c.granted
}
