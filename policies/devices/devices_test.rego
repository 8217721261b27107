package nri.policies.devices_test

import data.nri.lib_test as t
import data.nri.policies.devices

device(value) := t.change("device", {
	"key": "/dev/fuse",
	"value": object.union({"type": "c", "major": 10, "minor": 229, "hostPaths": ["/dev/fuse"]}, value),
})

rule(value) := t.change("deviceRule", {"value": object.union({"allow": true, "type": "c", "access": "rw"}, value)})

stopped := {
	"device": device({}),
	"device that the host does not have": device({"hostPaths": []}),
	"device in place of another": object.union(device({}), {"op": "replace"}),
	"rule for one device": rule({"major": 1, "minor": 3}),
	"rule for all": rule({"type": "a", "access": "rwm"}),
	"rule that denies": rule({"allow": false}),
}

passed := {
	"device taken away": t.removal("device", {"key": "/dev/fuse", "old": device({}).value}),
	"CDI device, not of this policy": t.change("cdiDevice", {"key": "nvidia.com/gpu=0"}),
}

test_stops[note] if {
	some note, c in stopped
	t.ids(devices.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(devices.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(devices.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(devices.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(devices.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	devices.deny == set() with input as t.review([])
}

test_message if {
	devices.deny == {
		{"change": "0", "msg": "device /dev/fuse (c 10:229) would be added; if this is meant, grant it in the configuration"},
		{"change": "1"},
	} with input as t.review([device({}), rule({})])
}
