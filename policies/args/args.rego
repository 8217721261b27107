# METADATA
# title: Arguments of the process
# description: >-
#   A container whose command is replaced is another container, with the identity, the
#   secrets and the permissions of the first.
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.args

import data.nri.lib

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.args
	not c.granted
	msg := sprintf("the container would run %q in place of %q; %s", [
		concat(" ", c.value),
		concat(" ", c.old),
		lib.lift,
	])
}
