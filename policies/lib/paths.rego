# What policies share. A directory is written with a slash at its end, so that a
# comparison of beginnings is one of whole components: /etcetera is not in /etc/.
package nri.lib

# dir writes a path as a directory.
dir(path) := path if endswith(path, "/")

else := concat("", [path, "/"])

# place writes a directory as a path.
place(dir) := trim_suffix(dir, "/")

# inside: the path is one of the directories or lies in one.
inside(path, dirs) if strings.any_prefix_match(dir(path), dirs)

# near: the path is, lies in or holds one of the directories.
near(path, dirs) if {
	d := dir(path)
	true in {strings.any_prefix_match(d, dirs), strings.any_prefix_match(dirs, d)}
}

# nearest tells which of the directories the path is near, for messages: the one
# that it lies in, else the first that it holds.
nearest(path, dirs) := found[0] if {
	found := sort([d | some d in dirs; startswith(dir(path), d)])
	count(found) > 0
}

else := sort([d | some d in dirs; startswith(d, dir(path))])[0]
