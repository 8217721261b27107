// Package document gives the review document its form: what Rego policies see as
// input, what a WASI validator reads, what the decision log keeps.
//
// The form is defined once, by the Go types of package engine with their json and
// doc tags and by the protobuf tags of NRI's message types. [ReviewShape] derives
// a description from them by reflection. [Unmarshal] and [Schema] interpret it;
// [Append] compiles it once, and so does the encoder of package engine/policy/rego. No
// name of a key stands anywhere else.
//
// Of NRI's messages the names are those of protobuf's JSON mapping. What is always
// there and what may be absent follows one rule: nothing is ever null, and only
// what has no value is absent: an unset Optional value, a nil message within a
// message, and the keys of engine's types that are tagged omitempty.
package document
