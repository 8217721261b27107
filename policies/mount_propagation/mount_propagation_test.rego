package nri.policies.mount_propagation_test

import data.nri.lib_test as t
import data.nri.policies.mount_propagation

stopped := {
	"shared": t.mount("/mnt", {"propagation": "shared"}),
	"recursively": t.mount("/mnt", {"propagation": "rshared"}),
	"of a tmpfs": t.mount("/mnt", {"type": "tmpfs", "resolvedSource": "", "propagation": "rshared"}),
	"a source that was there, not shared": t.mount("/mnt", {"propagation": "rshared", "hadSource": true, "hadWritable": true}),
}

passed := {
	"none": t.bind("/srv"),
	"shared before": t.mount("/mnt", {"propagation": "rshared", "hadSource": true, "hadPropagation": true}),
	"private": t.mount("/mnt", {"propagation": "private"}),
	"recursively private": t.mount("/mnt", {"propagation": "rprivate"}),
	"slave": t.mount("/mnt", {"propagation": "slave"}),
	"recursively slave": t.mount("/mnt", {"propagation": "rslave"}),
	"unbindable": t.mount("/mnt", {"propagation": "unbindable"}),
	"taken away": t.removal("mount", {"key": "/mnt", "old": t.mount("/mnt", {"propagation": "rshared"}).value}),
}

test_stops[note] if {
	some note, c in stopped
	t.ids(mount_propagation.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(mount_propagation.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(mount_propagation.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(mount_propagation.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(mount_propagation.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	mount_propagation.deny == set() with input as t.review([])
}

test_message if {
	{e.msg | some e in mount_propagation.deny} == {concat("", [
		"with rshared propagation at /mnt, what the container mounts would appear on the host; ",
		"if this is meant, grant it in the configuration",
	])} with input as t.review([t.mount("/mnt", {"propagation": "rshared"})])
}
