// Package meter makes a WebAssembly module pay for what it does, by rewriting it before it is compiled.
//
// [Check] decodes bytes that nobody has looked at yet, WebAssembly 2.0 and nothing else, and holds them against [Limits]: sizes, and what
// compiling will cost, since 43 kB can keep a compiler busy for half a minute. Whoever uses the package has the original validated then: an
// invalid module may become valid by instrumenting, since it gets two globals more. [Module.Instrument] gives the metered module:
//
//   - Fuel is a global that the host sets before a call. Every block of instructions begins by taking the sum of their weights, which depend
//     on nothing but the module and the limit on its memory, so the same input burns the same everywhere. A function keeps the fuel in a
//     local and writes it back before it calls, returns or may trap, so that the host knows what was burnt however a call ends. It goes on
//     with what is left when a call returns, so that the host may take fuel too. What has to be paid by length (filling, copying and
//     initialising memories and tables, and letting them grow) takes that before it happens, also when it fails then.
//   - When fuel runs out, the global becomes -1 and the function traps. Nothing is done that is not paid for.
//   - Depth is a global too: the bytes of stack in use by the callers. A function that calls takes it, adds an estimate of its own frame,
//     which it does not let exceed the bound, and hands that to what it calls, if that may call in turn. So it needs not be put back, however
//     a call ends.
//   - References to functions are made once, in a table behind the module's own ones, however often its code asks for them.
//   - The start function becomes an export, to be called with fuel. Memories and tables get the limits as maximum. Custom sections are left out.
//
// The counters are globals behind the module's own ones, exported under names that it does not export. Its code cannot name them, nor the
// table: an index that is not its own is refused by Check.
//
// The weights make a unit of fuel stand for at most about three nanoseconds on the machine code that wazero makes; ordinary code burns ten
// units in that time.
package meter
