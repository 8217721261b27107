// Package wasm runs WebAssembly modules as policies, in a sandbox: a module can cost
// its fuel, its memory and its own verdict, and nothing else.
//
// # Loading
//
// A module is read, held against its digest, decoded and held to every bound
// (internal/meter), validated as it is by wazero, instrumented so that each basic
// block pays for its instructions, and compiled to machine code, once. What it
// imports must be in a short list. A module that cannot even be set up (its start
// function, _initialize or plugin_configure fails) is refused too.
//
// # The two conventions
//
// A module that exports what NRI calls in its WebAssembly plugins is asked in NRI's
// way: malloc, plugin_validate_container_adjustment and free, with protobuf messages
// in the module's memory. Any other that exports _start is a WASI command: it reads
// the review document on standard input and writes {"violations": [...]} to standard
// output.
//
// # Instances
//
// An instance serves one decision at a time. Those of NRI's convention are kept for
// the next one, with what earlier decisions left in their memory: the same request
// may then cost more or less fuel than before. A fresh instance burns the same fuel
// for the same request everywhere, and so does each where [Config.Calls] is 1. A
// command's instance serves one decision only.
//
// # Time
//
// Machine code of a module cannot be interrupted, and while it runs the garbage
// collector waits for it, and with it every goroutine. Fuel is what bounds that: the
// deadline of a decision is looked at before a module is asked, not meanwhile.
package wasm
