// Package nri is the guard's border to the Node Resource Interface.
//
// A [Border] turns NRI's messages into reviews, which say what a runtime would do,
// and an approved review back into messages. It is the same wherever the guard
// stands. Two ways to stand in a daemon are here:
//
//   - [Integration] owns NRI's adaptation. It asks the plugins, has what they ask
//     for judged, and returns what may be applied; so it sees updates in every
//     reply and those that plugins ask for by themselves, and can take changes out.
//   - [Builtin] is a plugin for an adaptation that the daemon has already. It sees
//     adjustments of containers being created, and can accept or reject them.
//
// Inside of an Integration, a creation goes
//
//	daemon -> Integration.CreateContainer -> adaptation -> plugins
//	                                      -> guard, NRI's validator: Border -> Engine
//	daemon <- what the decision approved  <-
//
// The decision travels in a context value rather than through NRI, which knows
// errors alone. What NRI returns is never used: only what a decision approved is.
//
// A run of NRI is an instance. A reload makes a new one while a gate keeps
// creations waiting, and the old one's context ends, which every function checks
// that NRI may still call on behalf of its plugins. A roster knows the plugins'
// connections, so that they can be closed, and by what name NRI knows each of
// them. None of these holds a lock while a policy runs or the daemon is called.
package nri
