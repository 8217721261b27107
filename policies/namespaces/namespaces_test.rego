package nri.policies.namespaces_test

import data.nri.lib_test as t
import data.nri.policies.namespaces

namespace(type, overrides) := t.change("namespace", object.union({"key": type}, overrides))

stopped := {
	"the host's": t.removal("namespace", {"key": "pid"}),
	"somebody's": namespace("network", {"value": {"path": "/proc/1/ns/net"}}),
	"another one": namespace("network", {
		"op": "replace",
		"value": {"path": "/run/netns/other"},
		"old": {"path": "/run/netns/pod"},
	}),
	"a new one in place of the pod's": namespace("network", {"op": "replace", "old": {"path": "/run/netns/pod"}}),
}

passed := {"a new one where there was none": namespace("cgroup", {})}

test_stops[note] if {
	some note, c in stopped
	t.ids(namespaces.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(namespaces.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(namespaces.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(namespaces.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(namespaces.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	namespaces.deny == set() with input as t.review([])
}

test_messages if {
	{e.msg | some e in namespaces.deny} == {
		"the container would share the host's pid namespace; if this is meant, grant it in the configuration",
		"the container would join the network namespace /proc/1/ns/net; if this is meant, grant it in the configuration",
		"the container's ipc namespace would become another one; if this is meant, grant it in the configuration",
	} with input as t.review([
		t.removal("namespace", {"key": "pid"}),
		namespace("network", {"value": {"path": "/proc/1/ns/net"}}),
		namespace("ipc", {"op": "replace"}),
	])
}
