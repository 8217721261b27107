# METADATA
# title: OCI hooks
# description: >-
#   An OCI hook is a program that the runtime runs on the host, as root, around the
#   life of a container. Whoever adds one owns the host; whoever drops one may drop
#   what makes the container safe.
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.hooks

import data.nri.lib

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.hook
	c.op != "remove"
	not c.granted
	msg := sprintf("the %s hook %s would run on the host as root; %s", [c.key, c.value.path, lib.lift])
}

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.hook
	c.op == "remove"
	not c.granted
	msg := sprintf("the %s hook %s would no longer run; %s", [c.key, c.old.path, lib.lift])
}
