package nri.policies.cgroups_path_test

import data.nri.lib_test as t
import data.nri.policies.cgroups_path

stopped := {
	"replaced": t.change("cgroupsPath", {"op": "replace", "value": "/system.slice", "old": "/kubepods/pod1/c0ffee"}),
	"given": t.change("cgroupsPath", {"value": "/"}),
	"processes of the host": t.change("resource", {"key": "unified.cgroup.procs", "value": "1"}),
	"taken away": t.removal("cgroupsPath", {"old": "/kubepods/pod1/c0ffee"}),
}

passed := {
	"another limit": t.change("resource", {"key": "cpu.shares", "value": 512}),
	"a limit by its file": t.change("resource", {"key": "unified.memory.high", "value": "max"}),
	"a limit with such a name": t.change("resource", {"key": "unified.cgroups.max", "value": "max"}),
	"the cgroup's own file given up": t.removal("resource", {"key": "unified.cgroup.procs", "old": "1"}),
}

test_stops[note] if {
	some note, c in stopped
	t.ids(cgroups_path.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(cgroups_path.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(cgroups_path.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(cgroups_path.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(cgroups_path.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	cgroups_path.deny == set() with input as t.review([])
}

test_messages if {
	{e.msg | some e in cgroups_path.deny} == {
		concat("", [
			"the container's cgroup would be \"/system.slice\" instead of \"/kubepods/pod1/c0ffee\"; ",
			"if this is meant, grant it in the configuration",
		]),
		concat("", [
			"unified.cgroup.procs is no limit but controls which processes are in a cgroup; ",
			"if this is meant, grant it in the configuration",
		]),
	} with input as t.review([stopped.replaced, stopped["processes of the host"]])
}
