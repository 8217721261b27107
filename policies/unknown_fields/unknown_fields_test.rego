package nri.policies.unknown_fields_test

import data.nri.lib_test as t
import data.nri.policies.unknown_fields

unknown := t.change("unknown", {"key": "adjust.linux:99", "value": 12})

stopped := {
	"with content": unknown,
	"empty": t.change("unknown", {"key": "adjust:42"}),
}

passed := {"a known field": t.change("rdt", {})}

test_stops[note] if {
	some note, c in stopped
	t.ids(unknown_fields.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(unknown_fields.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(unknown_fields.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(unknown_fields.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(unknown_fields.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	unknown_fields.deny == set() with input as t.review([])
}

test_message if {
	{e.msg | some e in unknown_fields.deny} == {concat("", [
		"the message has a field that this version of the guard does not know, adjust.linux:99 of 12 bytes; ",
		"update the guard, or if this is meant, grant it in the configuration",
	])} with input as t.review([unknown])
}
