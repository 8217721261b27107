package nri.policies.evictions_test

import data.nri.lib_test as t
import data.nri.policies.evictions

stopped := {
	"of this container": t.change("eviction", {"key": "c0ffee", "value": "too hot"}),
	"of another one, without reason": t.change("eviction", {"key": "decade"}),
}

passed := {"an update": t.change("resource", {"key": "memory.limit", "value": 1})}

test_stops[note] if {
	some note, c in stopped
	t.ids(evictions.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(evictions.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(evictions.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(evictions.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(evictions.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	evictions.deny == set() with input as t.review([])
}

test_message if {
	{e.msg | some e in evictions.deny} == {concat("", [
		"container c0ffee would be stopped, for the reason \"too hot\"; ",
		"if this is meant, grant it in the configuration",
	])} with input as t.review([stopped["of this container"]])
}
