# Reviews for the tests of all policies: whole documents, of which a test says
# only what matters to it.
package nri.lib_test

# review is a review with the given changes, whose ids are their places in the list.
review(changes) := object.union(request, {"changes": {field: entries |
	some field in {c.field | some c in changes}
	entries := of_field(field, numbered(changes))
}})

numbered(changes) := [object.union(c, {"id": sprintf("%d", [i])}) | some i, c in changes]

of_field("env", changes) := {c.key: c | some c in changes; c.field == "env"}

of_field(field, changes) := [c | some c in changes; c.field == field] if field != "env"

# ids are the changes that a policy objects to.
ids(entries) := {e.change | some e in entries}

# change is a change of a field, with what overrides says of it.
change(field, overrides) := object.union(
	{
		"id": "",
		"op": "add",
		"field": field,
		"key": "",
		"value": zero[field],
		"old": zero[field],
		"plugin": plugin,
		"owners": [plugin],
		"container": "c0ffee",
		"granted": false,
	},
	overrides,
)

# removal is a change that takes away what old was.
removal(field, overrides) := change(field, object.union({"op": "remove"}, overrides))

# granted says that the configuration grants a change.
granted(c) := object.union(c, {"granted": true})

# mount is a mount at a destination, a read-only bind mount of the host's /srv unless
# value says something else.
mount(destination, value) := change("mount", {
	"key": destination,
	"value": object.union(
		object.union(zero.mount, {
			"type": "bind",
			"source": "/srv",
			"resolvedSource": "/srv",
			"options": ["bind", "ro"],
			"readOnly": true,
			"recursiveReadOnly": true,
		}),
		value,
	),
})

# bind is a read-only bind mount of a source of the host.
bind(source) := mount("/mnt", {"source": source, "resolvedSource": source})

# of_type is a mount of another type.
of_type(type) := mount("/mnt", {"type": type, "source": type, "resolvedSource": "", "options": [], "readOnly": false})

# parents are the paths that hold one of the directories.
parents(dirs) := {parent |
	some dir in dirs
	parts := split(trim_suffix(dir, "/"), "/")
	some i, _ in parts
	i > 0
	parent := max(["/", concat("/", array.slice(parts, 0, i))])
}

plugin := {"name": "tester", "index": "10"}

request := {
	"version": 1,
	"operation": "CreateContainer",
	"runtime": {"name": "containerd", "version": "v2.4.2"},
	"plugin": {"name": "", "index": ""},
	"plugins": [plugin],
	"pod": {
		"id": "b0a710ad",
		"name": "web-0",
		"uid": "7f1d3c5e",
		"namespace": "shop",
		"labels": {},
		"annotations": {},
		"runtimeHandler": "",
		"pid": 0,
		"ips": [],
	},
	"container": {
		"id": "c0ffee",
		"podSandboxId": "b0a710ad",
		"name": "web",
		"state": "CONTAINER_CREATED",
		"labels": {},
		"annotations": {},
		"args": ["/app"],
		"env": [],
		"mounts": [],
		"linux": {
			"namespaces": [{"type": t, "path": ""} | some t in ["cgroup", "ipc", "mount", "network", "pid", "uts"]],
			"devices": [],
			"cgroupsPath": "",
			"sysctl": {},
			"netDevices": {},
		},
		"pid": 0,
		"rlimits": [],
		"createdAt": 0,
		"startedAt": 0,
		"finishedAt": 0,
		"exitCode": 0,
		"statusReason": "",
		"statusMessage": "",
		"CDIDevices": [],
	},
}

# zero holds what a value is where there is none.
zero := {
	"annotation": "",
	"args": [],
	"cdiDevice": {"vendor": "", "class": "", "name": ""},
	"cgroupsPath": "",
	"device": {"type": "", "major": 0, "minor": 0, "hostPaths": []},
	"deviceRule": {"allow": false, "type": "", "access": ""},
	"env": "",
	"eviction": "",
	"hook": {"path": "", "args": [], "env": [], "timeout": 0},
	"ioPriority": {"class": "IOPRIO_CLASS_NONE", "priority": 0},
	"memoryPolicy": {"mode": "MPOL_DEFAULT", "nodes": "", "flags": []},
	"mount": {
		"type": "",
		"source": "",
		"resolvedSource": "",
		"layers": [],
		"aliases": [],
		"options": [],
		"readOnly": false,
		"recursive": false,
		"recursiveReadOnly": false,
		"propagation": "",
		"hadSource": false,
		"hadWritable": false,
		"hadPropagation": false,
	},
	"namespace": {"path": ""},
	"netDevice": {"name": ""},
	"oomScoreAdj": 0,
	"rdt": {"remove": false},
	"resource": 0,
	"rlimit": {"hard": 0, "soft": 0},
	"scheduler": {
		"policy": "SCHED_NONE",
		"nice": 0,
		"priority": 0,
		"flags": [],
		"runtime": 0,
		"deadline": 0,
		"period": 0,
	},
	"seccomp": {"defaultAction": "", "architectures": [], "flags": [], "listenerPath": "", "listenerMetadata": "", "syscalls": []},
	"sysctl": "",
	"unknown": 0,
}
