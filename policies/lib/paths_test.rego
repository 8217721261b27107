package nri.lib_test

import data.nri.lib

places := {"/etc/", "/var/lib/kubelet/"}

test_dir[path] if {
	some path, want in {
		"/": "/",
		"/etc": "/etc/",
		"/etc/": "/etc/",
		"": "/",
	}
	lib.dir(path) == want
}

test_place if lib.place("/etc/") == "/etc"

test_nearest[path] if {
	some path, want in {
		"/etc": "/etc/",
		"/etc/passwd": "/etc/",
		"/var": "/var/lib/kubelet/",
		"/": "/etc/",
	}
	lib.nearest(path, places) == want
}

test_nearest_of_nothing[path] if {
	some path in ["/srv", "/etcetera", "/va", "etc"]
	not lib.nearest(path, places)
}

test_parents if {
	parents(places) == {"/", "/var", "/var/lib"}
	parents({"/"}) == set()
	parents(set()) == set()
}
