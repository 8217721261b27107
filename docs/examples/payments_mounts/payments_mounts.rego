# METADATA
# title: No mounts for payments
# description: >-
#   Containers of the payments namespaces run with the volumes that their pods ask for;
#   plugins add none.
# custom:
#   enforcement: deny
package nri.policies.payments_mounts

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.mount
	startswith(input.pod.namespace, "payments-")
	c.op != "remove"
	not c.granted
	msg := sprintf("pods of %s get no mounts from plugins: %s", [input.pod.namespace, c.key])
}
