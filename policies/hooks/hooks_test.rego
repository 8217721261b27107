package nri.policies.hooks_test

import data.nri.lib_test as t
import data.nri.policies.hooks

hook(overrides) := t.change("hook", object.union(
	{"key": "createRuntime", "value": {
		"path": "/opt/x/hook",
		"args": ["hook", "createRuntime"],
		"env": [],
		"timeout": 0,
	}},
	overrides,
))

stopped := {
	"added": hook({}),
	"of another stage": hook({"key": "poststop"}),
	"taken away": t.removal("hook", {"key": "prestart", "old": {"path": "/usr/bin/audit", "args": [], "env": [], "timeout": 0}}),
}

passed := {"a program's name elsewhere": t.change("annotation", {"key": "hook", "value": "/opt/x/hook"})}

test_stops[note] if {
	some note, c in stopped
	t.ids(hooks.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(hooks.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(hooks.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(hooks.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(hooks.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	hooks.deny == set() with input as t.review([])
}

test_messages if {
	{e.msg | some e in hooks.deny} == {
		"the createRuntime hook /opt/x/hook would run on the host as root; if this is meant, grant it in the configuration",
		"the prestart hook /usr/bin/audit would no longer run; if this is meant, grant it in the configuration",
	} with input as t.review([hook({}), stopped["taken away"]])
}
