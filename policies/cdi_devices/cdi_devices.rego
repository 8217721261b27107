# METADATA
# title: CDI devices
# description: >-
#   The name of a CDI device stands for whatever its specification on the host holds,
#   devices, mounts, hooks and variables, and the runtime looks it up only after the
#   decision. A name is therefore let through only when it is granted.
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.cdi_devices

import data.nri.lib

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.cdiDevice
	c.op != "remove"
	not c.granted
	msg := sprintf(
		"CDI device %s can carry devices, mounts and hooks that the runtime adds after this decision; %s",
		[c.key, lib.lift],
	)
}
