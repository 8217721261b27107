package nri.lib_test

import data.nri.lib

dirs := {"/etc/", "/var/lib/kubelet/"}

test_dir if {
	lib.dir("/") == "/"
	lib.dir("/etc") == "/etc/"
	lib.dir("/etc/") == "/etc/"
	lib.place("/etc/") == "/etc"
}

test_inside[path] if {
	some path, want in {
		"/etc": true,
		"/etc/": true,
		"/etc/passwd": true,
		"/var/lib/kubelet/pki/kubelet.key": true,
		"/etcetera": false,
		"/et": false,
		"/": false,
		"/var/lib": false,
		"/srv/etc": false,
		"etc": false,
		"": false,
	}
	inside(path) == want
}

inside(path) if lib.inside(path, dirs)

else := false

near(path) if lib.near(path, dirs)

else := false

test_near[path] if {
	some path, want in {
		"/etc": true,
		"/etc/passwd": true,
		"/": true,
		"/var": true,
		"/var/lib": true,
		"/var/lib/kubelet/": true,
		"/etcetera": false,
		"/va": false,
		"/var/lib/kubelet2": false,
		"/var/lib2": false,
		"/srv/etc": false,
	}
	near(path) == want
}

test_nearest[path] if {
	some path, want in {
		"/etc/passwd": "/etc/",
		"/var": "/var/lib/kubelet/",
		"/": "/etc/",
	}
	lib.nearest(path, dirs) == want
}

test_nearest_of_nothing if not lib.nearest("/srv", dirs)
