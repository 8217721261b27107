// Package loglines writes the lines of a log so that logging keeps nobody waiting, and
// nobody fills it.
//
// A log goes to a pipe or a terminal that somebody reads, or does not: a [Writer]
// takes what it is given into a bounded buffer and says how much it had to drop. And
// much of a log is about others, who decide how often there is something to say: a
// [Quota] lets the first lines about each of them through in a time and says how many
// followed. What must not be lost belongs into the decision log.
package loglines
