# METADATA
# title: OOM score
# description: >-
#   The lower its score, the later the kernel kills a container when memory runs out, and
#   the sooner something else: other pods, the kubelet, the runtime. A higher score is let
#   through.
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.oom_score

import data.nri.lib

# Where the container has no score of its own yet, old is 0, the kernel's default.
deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.oomScoreAdj
	c.value < c.old
	not c.granted
	msg := sprintf("the container's OOM score would fall from %d to %d; %s", [c.old, c.value, lib.lift])
}
