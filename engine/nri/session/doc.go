// Package session keeps a plugin of the guard's own registered with a container
// runtime: it waits for the runtime's socket, registers through NRI's stub, notices
// when the connection is of no use any more, and begins anew, for as long as it is
// wanted.
//
// It stands between the stub and the connection in three places, because of what
// the stub leaves open:
//
//   - It dials itself and sees the connection close. A stub whose connection
//     closes between registration and configuration waits for ever.
//   - A registration waits for its turn as long as the connection stands: NRI sets
//     plugins up one after the other, and one that connects and stays silent costs
//     those behind it as long as the stub would have waited.
//   - Panics in handlers are errors; the stub lets them end the process.
//
// When it is told to end, it answers what the runtime has asked before it hangs
// up: a request whose validator disconnects may pass unvalidated.
package session
