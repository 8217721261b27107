// Package policies is the library of Rego policies that every installation has:
// one directory a policy, named after what it protects, with its tests beside it.
// What two policies share is in lib.
//
// The package holds files and no code. docs/policies.md in the repository's root
// describes each policy, and how to write one.
package policies

import "embed"

// FS holds the library as NAME/*.rego, the tests (NAME/*_test.rego) included.
//
//go:embed */*.rego
var FS embed.FS
