package nri.policies.oom_score_test

import data.nri.lib_test as t
import data.nri.policies.oom_score

score(op, old, value) := t.change("oomScoreAdj", {"op": op, "old": old, "value": value})

stopped := {
	"lower": score("replace", 900, 899),
	"below zero": score("replace", 2, -998),
	"further below zero": score("replace", -997, -998),
	"below the default": score("add", 0, -1),
	"back to the default": score("remove", 900, 0),
}

passed := {
	"higher": score("replace", 900, 901),
	"higher, still below zero": score("replace", -998, -997),
	"the same": score("replace", 900, 900),
	"the default": score("add", 0, 0),
	"above the default": score("add", 0, 1000),
	"up to the default": score("remove", -998, 0),
}

test_stops[note] if {
	some note, c in stopped
	t.ids(oom_score.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(oom_score.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(oom_score.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(oom_score.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(oom_score.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	oom_score.deny == set() with input as t.review([])
}

test_message if {
	{e.msg | some e in oom_score.deny} == {concat("", [
		"the container's OOM score would fall from 2 to -998; ",
		"if this is meant, grant it in the configuration",
	])} with input as t.review([score("replace", 2, -998)])
}
