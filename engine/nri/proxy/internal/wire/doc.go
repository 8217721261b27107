// Package wire reads and writes what travels between an NRI plugin and a runtime:
// messages of ttrpc, cut into frames of NRI's multiplexer, which keeps two logical
// connections apart on one socket.
//
//	frame    connection (4 bytes), length (4 bytes), data
//	message  length (4 bytes), stream (4 bytes), type, flags, data
//
// All numbers are big endian. A message may be spread over several frames, and
// each connection is a stream of its own. Formats: NRI's pkg/net/multiplex, and
// ttrpc's PROTOCOL.md.
//
// A [Reader] trusts nothing that it reads: a length that is over the limit, a
// connection that does not exist or an end in the middle is an error, and memory
// grows with what has arrived, not with what was announced.
package wire
