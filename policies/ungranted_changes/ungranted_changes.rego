# METADATA
# title: Changes that nobody granted
# description: >-
#   The restricted profile lets nothing through but what the configuration grants to a
#   plugin expressly, harmless changes and removals included.
# custom:
#   enforcement: deny
#   profiles: [restricted]
package nri.policies.ungranted_changes

# The guard writes the messages: what matters is which change it is.
deny contains {"change": c.id} if {
	some changes in input.changes
	some c in changes
	not c.granted
}
