# METADATA
# title: Real-time scheduling
# description: >-
#   A process that runs in real time, on a CPU or on a disk, is served before everything
#   else on the host and can keep it from working. The limit that lets processes choose
#   such a priority by themselves counts too.
# custom:
#   enforcement: deny
#   profiles: [baseline, restricted]
package nri.policies.scheduling

import data.nri.lib

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.scheduler
	c.value.policy in {"SCHED_DEADLINE", "SCHED_FIFO", "SCHED_RR"}
	not c.granted
	msg := sprintf("the container would be scheduled in real time, by %s; %s", [c.value.policy, lib.lift])
}

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.ioPriority
	c.value.class == "IOPRIO_CLASS_RT"
	not c.granted
	msg := sprintf("the container's I/O would be served in real time; %s", [lib.lift])
}

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.resource
	c.key in {"cpu.realtimePeriod", "cpu.realtimeRuntime"}
	c.op != "remove"
	c.value != 0
	not c.granted
	msg := sprintf("the container would get CPU time in real time, %s; %s", [c.key, lib.lift])
}

deny contains {"change": c.id, "msg": msg} if {
	some c in input.changes.rlimit
	endswith(upper(c.key), "RTPRIO")
	max({c.value.soft, c.value.hard}) > 0
	not c.granted
	msg := sprintf("the container's processes could give themselves real-time priority, by %s; %s", [c.key, lib.lift])
}
