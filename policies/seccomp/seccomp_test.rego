package nri.policies.seccomp_test

import data.nri.lib_test as t
import data.nri.policies.seccomp

profile(action) := object.union(t.zero.seccomp, {"defaultAction": action})

stopped := {
	"weaker": t.change("seccomp", {"op": "replace", "value": profile("SCMP_ACT_ALLOW"), "old": profile("SCMP_ACT_ERRNO")}),
	"stricter, as far as one can see": t.change("seccomp", {"op": "replace", "value": profile("SCMP_ACT_ERRNO")}),
	"where there was none": t.change("seccomp", {"value": profile("SCMP_ACT_ERRNO")}),
	"taken away": t.removal("seccomp", {"old": profile("SCMP_ACT_ERRNO")}),
}

passed := {"an annotation about it": t.change("annotation", {"key": "example.com/seccomp", "value": "unconfined"})}

test_stops[note] if {
	some note, c in stopped
	t.ids(seccomp.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(seccomp.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(seccomp.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(seccomp.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(seccomp.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	seccomp.deny == set() with input as t.review([])
}

test_message if {
	{e.msg | some e in seccomp.deny} == {concat("", [
		"the container's seccomp profile would not be the one it was given; ",
		"if this is meant, grant it in the configuration",
	])} with input as t.review([stopped.weaker])
}
