//go:build race

package wasm_test

// raced says that the race detector slows everything down several times, and takes
// several times the memory: what tests find out then is what happens, not at what
// cost.
const raced = true
