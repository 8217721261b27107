// Package doctor finds out whether a node is really guarded.
//
// It reads what the container runtimes, the guard and the kernel say of themselves: the
// runtimes' configuration files and command lines, the version of NRI that their
// executables were built with, the guard's configuration, the file system and the table
// of listening sockets. From these facts, a table of checks makes findings. Each says
// what it means, what it was seen from, and what to paste to mend it.
//
// Looking must not change anything. No runtime is asked anything, and its socket is left
// alone: NRI's adaptation accepts one plugin at a time, so that a connection that stays and
// does not register delays those that do. The guard's own addresses are connected to: the
// admin address, which is asked, and, for a moment and without a word, the socket that plugins
// connect to, to see who answers. No executable found on the node is run either: what a
// runtime was built from stands in its file.
package doctor
