# METADATA
# title: Network devices
# description: >-
#   A network device that is moved into a container is gone from the host, with the
#   host's connections, and joins the container to a network that nobody gave it.
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.net_devices

import data.nri.lib

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.netDevice
	c.op != "remove"
	not c.granted
	msg := sprintf("the host's network device %s would be moved into the container; %s", [c.key, lib.lift])
}
