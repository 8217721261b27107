package nri.policies.args_test

import data.nri.lib_test as t
import data.nri.policies.args

stopped := {
	"replaced": t.change("args", {"op": "replace", "value": ["sh", "-c", "id"], "old": ["/app", "serve"]}),
	"given": t.change("args", {"value": ["sh"]}),
	"taken away": t.removal("args", {"old": ["/app"]}),
}

passed := {"a variable of that name": t.change("env", {"key": "ARGS", "value": "-v"})}

test_stops[note] if {
	some note, c in stopped
	t.ids(args.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(args.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(args.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(args.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(args.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	args.deny == set() with input as t.review([])
}

test_message if {
	{e.msg | some e in args.deny} == {concat("", [
		"the container would run \"sh -c id\" in place of \"/app serve\"; ",
		"if this is meant, grant it in the configuration",
	])} with input as t.review([stopped.replaced])
}
