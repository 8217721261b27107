// Package audit is the decision log: one line of JSON for each decision, written
// before the decision is answered.
//
// The names are those of OPA's decision log where it has one (decision_id,
// timestamp, labels, revision, input, result, metrics, masked), so that tools
// made for that log read this one. The input is the review document; it holds
// everything that the policies saw but for the values of environment variables,
// which are masked unless their names are configured. A line can be given to
// document.Unmarshal again, so that old decisions can be tried against new
// policies.
//
// A decision that cannot be written is an error, which makes the engine deny.
// That holds for a full disk, a directory that has gone and a log that is closed.
// Written means handed to the operating system: the log does not wait for the
// disk, which would take longer than everything else in a decision.
package audit
