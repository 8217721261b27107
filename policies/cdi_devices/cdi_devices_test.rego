package nri.policies.cdi_devices_test

import data.nri.lib_test as t
import data.nri.policies.cdi_devices

gpu := t.change("cdiDevice", {"key": "nvidia.com/gpu=0", "value": {"vendor": "nvidia.com", "class": "gpu", "name": "0"}})

stopped := {
	"added": gpu,
	"a name that no vendor has": t.change("cdiDevice", {"key": "x"}),
}

passed := {
	"device node, not of this policy": t.change("device", {"key": "/dev/nvidia0"}),
	"taken away": t.removal("cdiDevice", {"key": "nvidia.com/gpu=0"}),
}

test_stops[note] if {
	some note, c in stopped
	t.ids(cdi_devices.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(cdi_devices.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(cdi_devices.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(cdi_devices.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(cdi_devices.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	cdi_devices.deny == set() with input as t.review([])
}

test_message if {
	{e.msg | some e in cdi_devices.deny} == {concat("", [
		"CDI device nvidia.com/gpu=0 can carry devices, mounts and hooks that the runtime adds after this decision; ",
		"if this is meant, grant it in the configuration",
	])} with input as t.review([gpu])
}
