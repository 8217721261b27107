# METADATA
# title: Namespaces
# description: >-
#   A container without a namespace of a kind is in the host's; one that joins a namespace
#   by its file is in somebody else's. A new namespace where there was none is let through,
#   as it only takes access away.
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.namespaces

import data.nri.lib

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.namespace
	c.op == "remove"
	not c.granted
	msg := sprintf("the container would share the host's %s namespace; %s", [c.key, lib.lift])
}

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.namespace
	c.op == "replace"
	not c.granted
	msg := sprintf("the container's %s namespace would become another one; %s", [c.key, lib.lift])
}

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.namespace
	c.op == "add"
	c.value.path != ""
	not c.granted
	msg := sprintf("the container would join the %s namespace %s; %s", [c.key, c.value.path, lib.lift])
}
