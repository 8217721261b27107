// Package validator guards a container runtime as it is: a plugin that has NRI
// ask it about the merged adjustment of each container before it is created.
//
// NRI forgives a validator much: one that is late is dropped, and containers
// are created unvalidated from then on. So the validator
//
//   - subscribes to validation and nothing else: what a plugin is dropped for at
//     another event it is not asked to validate any more;
//   - answers before the runtime's time is over, with a rejection where there is
//     no decision yet;
//   - asks runtimes with NRI 0.12.5 or newer to fail requests that it does not
//     answer and to keep the connection;
//   - comes back whenever the connection is lost (package session).
//
// What it cannot do is to be missed: that takes required_plugins in the
// configuration of the runtime's default validator, or the proxy.
package validator
