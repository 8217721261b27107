package nri.policies.sysctls_test

import data.nri.lib_test as t
import data.nri.policies.sysctls

sysctl(name) := t.change("sysctl", {"key": name, "value": "1"})

stopped := {name: sysctl(name) |
	some name in [
		"kernel.core_pattern",
		"kernel.msgmax",
		"kernel.shmmax",
		"kernel.shm_rmid_forced2",
		"net.core.somaxconn",
		"net.ipv4.conf.all.route_localnet",
		"net.ipv4.ip_forward",
		"net.ipv4.tcp_rmem2",
		"net.ipv6.tcp_rmem",
		"vm.overcommit_memory",
		"fs.mqueue.queues_max",
		"NET.IPV4.TCP_RMEM",
		"",
	]
}

passed := object.union(
	{name: sysctl(name) |
		some name in [
			"kernel.shm_rmid_forced",
			"net.ipv4.ip_local_port_range",
			"net.ipv4.ip_local_reserved_ports",
			"net.ipv4.ip_unprivileged_port_start",
			"net.ipv4.ping_group_range",
			"net.ipv4.tcp_fin_timeout",
			"net.ipv4.tcp_keepalive_intvl",
			"net.ipv4.tcp_keepalive_probes",
			"net.ipv4.tcp_keepalive_time",
			"net.ipv4.tcp_rmem",
			"net.ipv4.tcp_syncookies",
			"net.ipv4.tcp_wmem",
		]
	},
	{"back to its default": t.removal("sysctl", {"key": "net.core.somaxconn", "old": "4096"})},
)

test_stops[note] if {
	some note, c in stopped
	t.ids(sysctls.deny) == {"0"} with input as t.review([c])
}

test_stops_all_at_once if {
	changes := [c | some c in stopped]
	count(t.ids(sysctls.deny)) == count(changes) with input as t.review(changes)
}

test_lets_through[note] if {
	some note, c in passed
	t.ids(sysctls.deny) == set() with input as t.review([c])
}

test_a_grant_lifts[note] if {
	some note, c in stopped
	t.ids(sysctls.deny) == set() with input as t.review([t.granted(c)])
}

test_a_grant_lifts_nothing_else if {
	changes := [c | some c in stopped]
	rest := array.slice(changes, 1, count(changes))
	count(t.ids(sysctls.deny)) == count(rest) with input as t.review(array.concat([t.granted(changes[0])], rest))
}

test_nothing_to_judge if {
	sysctls.deny == set() with input as t.review([])
}

with_namespaces(types, changes) := json.patch(t.review(changes), [{
	"op": "replace",
	"path": "/container/linux/namespaces",
	"value": [{"type": type, "path": ""} | some type in types],
}])

shm := sysctl("kernel.shm_rmid_forced")

ports := sysctl("net.ipv4.ip_local_port_range")

test_the_hosts_own[note] if {
	some note, tc in {
		"host network": {"namespaces": ["ipc", "mount", "pid"], "want": {"1"}},
		"host IPC": {"namespaces": ["mount", "network", "pid"], "want": {"0"}},
		"both": {"namespaces": ["mount"], "want": {"0", "1"}},
		"neither": {"namespaces": ["ipc", "network"], "want": set()},
		"not told": {"namespaces": [], "want": set()},
	}
	t.ids(sysctls.deny) == tc.want with input as with_namespaces(tc.namespaces, [shm, ports])
}

# in_pod is a container that lists all namespaces, as containerd's do, in a pod that
# lists those that it has of its own.
in_pod(types, changes) := object.union(t.review(changes), {"pod": {"linux": {"namespaces": listed}}}) if {
	listed := [{"type": type, "path": ""} | some type in types]
}

test_the_hosts_own_by_the_pod[note] if {
	some note, tc in {
		"host network": {"namespaces": ["ipc", "mount", "pid", "uts"], "want": {"1"}},
		"host IPC": {"namespaces": ["mount", "network", "pid", "uts"], "want": {"0"}},
		"both": {"namespaces": ["mount", "pid"], "want": {"0", "1"}},
		"neither": {"namespaces": ["ipc", "mount", "network", "pid", "uts"], "want": set()},
		"not told": {"namespaces": [], "want": set()},
	}
	t.ids(sysctls.deny) == tc.want with input as in_pod(tc.namespaces, [shm, ports])
}

# What the container lacks is the host's, whatever its pod has.
test_the_hosts_own_in_a_pod_that_has_its_own if {
	request := json.patch(in_pod(["ipc", "mount", "network"], [shm, ports]), [{
		"op": "replace",
		"path": "/container/linux/namespaces",
		"value": [{"type": "ipc", "path": ""}],
	}])
	t.ids(sysctls.deny) == {"1"} with input as request
}

# A container without a list, in a pod with one.
test_the_hosts_own_of_a_container_that_tells_nothing if {
	request := json.remove(in_pod(["mount"], [shm, ports]), ["/container/linux"])
	t.ids(sysctls.deny) == {"0", "1"} with input as request
}

test_a_runtime_that_tells_no_namespaces if {
	request := json.remove(t.review([shm, ports]), ["/container/linux"])
	t.ids(sysctls.deny) == set() with input as request
}

test_the_hosts_own_granted if {
	t.ids(sysctls.deny) == set() with input as with_namespaces(["mount"], [t.granted(shm), t.granted(ports)])
}

test_messages if {
	{e.msg | some e in sysctls.deny} == {
		"kernel parameter vm.swappiness is not among those that are safe; if this is meant, grant it in the configuration",
		concat("", [
			"kernel parameter net.ipv4.ip_local_port_range would be set for the host, ",
			"whose network namespace the container shares; if this is meant, grant it in the configuration",
		]),
	} with input as with_namespaces(["ipc"], [sysctl("vm.swappiness"), ports])
}
