// Package meter makes a WebAssembly module pay for what it does.
//
// Check decodes a module that nobody has looked at yet and holds it against bounds. Instrument rewrites it: each block of instructions first
// takes the fuel that it will burn from a counter, and stops when there is not as much; calls keep count of the stack they take.
package meter
