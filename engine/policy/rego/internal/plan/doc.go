// Package plan evaluates Rego: rules are planned once, when policies are loaded, and
// a decision runs the plans.
//
//	ast.Compiler, documents -> Program -> Query -> Evaluation
//
// A plan is a closure for each part of a body, which runs what comes after it for
// each of its solutions. That a variable has a value by then, whether a reference
// leads to a document, a rule or both, and which builtin is called, is known when
// a body is planned; an evaluation neither looks names up nor unifies what need
// only be compared. Values are OPA's, builtins and indices of rules too.
//
// What is evaluated gives what topdown gives with strict errors of builtins.
package plan
