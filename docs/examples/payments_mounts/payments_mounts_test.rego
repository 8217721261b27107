package nri.policies.payments_mounts_test

import data.nri.policies.payments_mounts

mount := {
	"id": "mount:/cache",
	"op": "add",
	"field": "mount",
	"key": "/cache",
	"granted": false,
}

review(namespace, change) := {
	"pod": {"namespace": namespace},
	"changes": {"mount": [change]},
}

test_stops if {
	payments_mounts.deny == {{
		"change": "mount:/cache",
		"msg": "pods of payments-eu get no mounts from plugins: /cache",
	}} with input as review("payments-eu", mount)
}

test_lets_through[note] if {
	some note, request in {
		"other namespaces": review("shop", mount),
		"what is granted": review("payments-eu", object.union(mount, {"granted": true})),
		"what is taken away": review("payments-eu", object.union(mount, {"op": "remove"})),
	}
	payments_mounts.deny == set() with input as request
}
