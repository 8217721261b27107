# METADATA
# title: Seccomp
# description: >-
#   The seccomp profile is what stands between a container and most of the kernel's bugs.
#   Whether another profile is weaker cannot be told by looking at it, and its listener
#   sees and answers the container's system calls. Any change is denied.
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.seccomp

import data.nri.lib

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.seccomp
	not c.granted
	msg := sprintf("the container's seccomp profile would not be the one it was given; %s", [lib.lift])
}
