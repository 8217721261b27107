// Package engine is the vocabulary of nri-guard and its decision.
//
// Data flows one way. The NRI border (engine/nri) turns messages of the Node
// Resource Interface into a [Review]: one question with its list of [Change]s
// in normal form. [Engine.Decide] marks what the configuration grants, asks
// the [Policies], weighs what they answer by their [Enforcement], and returns a
// [Decision], which the border turns back into NRI's terms.
//
//	messages -> Review -> Engine.Decide -> Decision -> messages
//
// The package knows neither Rego nor WebAssembly nor sockets. It imports the
// standard library and NRI's message types, nothing else.
//
// Everything here denies by default: the zero [Decision] denies, the zero
// [Enforcement] is [Deny], a policy that fails denies, a review that is
// malformed denies, and so does a decision that could not be recorded.
package engine
