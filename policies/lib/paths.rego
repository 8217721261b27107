# What policies share. A directory is written with a slash at its end, so that a
# comparison of beginnings is one of whole components: /etcetera is not in /etc/.
package nri.lib

# nearest tells, for messages, which of the directories a path lies in, else the first
# that it holds.
nearest(path, dirs) := found[0] if {
	found := sort([d | some d in dirs; startswith(dir(path), d)])
	count(found) > 0
}

else := sort([d | some d in dirs; startswith(d, dir(path))])[0]

# dir writes a path as a directory, place a directory as a path.
dir(path) := concat("", [trim_right(path, "/"), "/"])

place(dir) := trim_suffix(dir, "/")
