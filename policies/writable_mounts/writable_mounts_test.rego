package nri.policies.writable_mounts_test

import data.nri.lib_test as t
import data.nri.policies.writable_mounts

writable := {"readOnly": false, "recursiveReadOnly": false, "options": ["rbind", "rw"]}

overlay(value) := t.mount("/mnt", object.union(
	{"type": "overlay", "source": "overlay", "resolvedSource": "", "readOnly": false, "options": ["lowerdir=/srv/a"]},
	value,
))

upper := {"options": ["lowerdir=/srv/a", "upperdir=/srv/b", "workdir=/srv/c"]}

stopped := {
	"added": t.mount("/mnt", writable),
	"replaced": object.union(t.mount("/mnt", writable), {"op": "replace"}),
	"a source that was read-only": t.mount("/mnt", object.union(writable, {"hadSource": true})),
	"an overlay with an upper directory": overlay(upper),
	"an upper directory in one long option": overlay({"options": ["lowerdir=/srv/a,upperdir=/srv/b,workdir=/srv/c"]}),
}

passed := {
	"read-only": t.bind("/srv"),
	"a source that was writable": t.mount("/mnt", object.union(writable, {"hadSource": true, "hadWritable": true})),
	"tmpfs": t.of_type("tmpfs"),
	"mqueue": t.of_type("mqueue"),
	"an overlay of lower directories": overlay({}),
	"a read-only overlay": overlay(object.union(upper, {"readOnly": true})),
	"taken away": t.removal("mount", {"key": "/mnt", "old": t.mount("/mnt", writable).value}),
}

test_stops[note] if {
	some note, c in stopped
	t.ids(writable_mounts.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(writable_mounts.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(writable_mounts.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(writable_mounts.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(writable_mounts.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	writable_mounts.deny == set() with input as t.review([])
}

test_messages if {
	{e.msg | some e in writable_mounts.deny} == {
		concat("", [
			"/srv of the host would be writable at /mnt; mount it read-only, or ",
			"if this is meant, grant it in the configuration",
		]),
		concat("", [
			"the overlay at /mnt would be written to a directory of the host; leave out its upper directory, or ",
			"if this is meant, grant it in the configuration",
		]),
	} with input as t.review([t.mount("/mnt", writable), overlay(upper)])
}
