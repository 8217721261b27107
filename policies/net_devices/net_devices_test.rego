package nri.policies.net_devices_test

import data.nri.lib_test as t
import data.nri.policies.net_devices

nic := t.change("netDevice", {"key": "ens5", "value": {"name": "net1"}})

stopped := {
	"moved in": nic,
	"renamed": object.union(nic, {"op": "replace"}),
}

passed := {"no longer moved in": t.removal("netDevice", {"key": "ens5", "old": {"name": "net1"}})}

test_stops[note] if {
	some note, c in stopped
	t.ids(net_devices.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(net_devices.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(net_devices.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(net_devices.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(net_devices.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	net_devices.deny == set() with input as t.review([])
}

test_message if {
	{e.msg | some e in net_devices.deny} == {concat("", [
		"the host's network device ens5 would be moved into the container; ",
		"if this is meant, grant it in the configuration",
	])} with input as t.review([nic])
}
