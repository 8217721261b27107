package nri.policies.scheduling_test

import data.nri.lib_test as t
import data.nri.policies.scheduling

scheduler(policy) := t.change("scheduler", {"value": object.union(t.zero.scheduler, {"policy": policy, "priority": 10})})

priority(class) := t.change("ioPriority", {"value": {"class": class, "priority": 0}})

resource(name, value) := t.change("resource", {"key": name, "value": value})

rlimit(type, soft, hard) := t.change("rlimit", {"key": type, "value": {"soft": soft, "hard": hard}})

stopped := {
	"FIFO": scheduler("SCHED_FIFO"),
	"round robin": scheduler("SCHED_RR"),
	"deadline": scheduler("SCHED_DEADLINE"),
	"I/O": priority("IOPRIO_CLASS_RT"),
	"cgroup's runtime": resource("cpu.realtimeRuntime", 950000),
	"cgroup's runtime without end": resource("cpu.realtimeRuntime", -1),
	"cgroup's period": resource("cpu.realtimePeriod", 1000000),
	"limit": rlimit("RLIMIT_RTPRIO", 0, 99),
	"soft limit": rlimit("RLIMIT_RTPRIO", 1, 0),
	"limit in other letters": rlimit("rtprio", 99, 99),
}

passed := {
	"normal": scheduler("SCHED_OTHER"),
	"batch": scheduler("SCHED_BATCH"),
	"idle": scheduler("SCHED_IDLE"),
	"real time given up": t.removal("scheduler", {"old": scheduler("SCHED_FIFO").value}),
	"I/O as usual": priority("IOPRIO_CLASS_BE"),
	"idle I/O": priority("IOPRIO_CLASS_IDLE"),
	"no runtime": resource("cpu.realtimeRuntime", 0),
	"runtime given up": t.removal("resource", {"key": "cpu.realtimeRuntime", "old": 950000}),
	"shares": resource("cpu.shares", 2),
	"a limit that is text": resource("unified.cpu.max", "max"),
	"no priority": rlimit("RLIMIT_RTPRIO", 0, 0),
	"time, not priority": rlimit("RLIMIT_RTTIME", 100, 100),
	"files": rlimit("RLIMIT_NOFILE", 1024, 1048576),
}

test_stops[note] if {
	some note, c in stopped
	t.ids(scheduling.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(scheduling.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(scheduling.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(scheduling.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(scheduling.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	scheduling.deny == set() with input as t.review([])
}

test_messages if {
	{e.msg | some e in scheduling.deny} == {
		"the container would be scheduled in real time, by SCHED_FIFO; if this is meant, grant it in the configuration",
		"the container's I/O would be served in real time; if this is meant, grant it in the configuration",
		"the container would get CPU time in real time, cpu.realtimePeriod; if this is meant, grant it in the configuration",
		concat("", [
			"the container's processes could give themselves real-time priority, by RLIMIT_RTPRIO; ",
			"if this is meant, grant it in the configuration",
		]),
	} with input as t.review([
		scheduler("SCHED_FIFO"),
		priority("IOPRIO_CLASS_RT"),
		resource("cpu.realtimePeriod", 1),
		rlimit("RLIMIT_RTPRIO", 1, 1),
	])
}
