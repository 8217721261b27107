package nri.policies.mount_types_test

import data.nri.lib_test as t
import data.nri.policies.mount_types

stopped := {type: t.of_type(type) |
	some type in [
		"proc",
		"sysfs",
		"cgroup",
		"cgroup2",
		"bpf",
		"debugfs",
		"tracefs",
		"securityfs",
		"devtmpfs",
		"devpts",
		"ext4",
		"nfs",
		"fuse",
		"ramfs",
		"overlayfs",
		"Bind",
		"",
	]
}

passed := {
	"bind": t.bind("/srv"),
	"tmpfs": t.of_type("tmpfs"),
	"mqueue": t.of_type("mqueue"),
	"overlay": t.of_type("overlay"),
	"taken away": t.removal("mount", {"key": "/proc/scsi", "old": t.of_type("proc").value}),
}

test_stops[note] if {
	some note, c in stopped
	t.ids(mount_types.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(mount_types.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(mount_types.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(mount_types.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(mount_types.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	mount_types.deny == set() with input as t.review([])
}

test_message if {
	{e.msg | some e in mount_types.deny} == {concat("", [
		"a file system of type \"proc\" would be mounted at /mnt, ",
		"only bind, mqueue, overlay and tmpfs are let through; if this is meant, grant it in the configuration",
	])} with input as t.review([t.of_type("proc")])
}
