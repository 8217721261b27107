package nri.policies.ungranted_changes_test

import data.nri.lib_test as t
import data.nri.policies.ungranted_changes

# Every field that there is, with and without a key, and each kind of operation.
stopped := object.union(
	{field: t.change(field, {"key": "k"}) | some field, _ in t.zero},
	{
		"replaced": t.change("resource", {"op": "replace", "key": "cpu.shares", "value": 2}),
		"a variable taken away": t.removal("env", {"key": "APP_MODE"}),
		"a mount taken away": t.removal("mount", {"key": "/data"}),
	},
)

passed := {field: t.granted(t.change(field, {"key": "k"})) | some field, _ in t.zero}

test_stops[note] if {
	some note, c in stopped
	t.ids(ungranted_changes.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(ungranted_changes.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(ungranted_changes.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(ungranted_changes.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(ungranted_changes.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	ungranted_changes.deny == set() with input as t.review([])
}
