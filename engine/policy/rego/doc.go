// Package rego loads Rego policies and asks them about reviews. It is the only
// package that knows OPA.
//
// [Load] does everything that can be done beforehand: it reads sources, parses,
// says what is wrong with metadata, packages and rules, compiles once with the
// review document's schema, plans how policies are evaluated, and finds out which
// change fields concern each. [Program.Judge] chooses who is asked, and [Judge.Judge]
// asks: it evaluates the policies that the changes of a review concern, and reads their
// answers. The review is looked at as it is: values of OPA's are made of the parts that
// an evaluation comes to, and of no others.
//
//	sources -> Program -> Judge -> Verdict
//
// A policy is a package nri.policies.NAME in a directory of its own, with a rule
// "deny contains entry" and maybe "warn contains entry". Besides, sources can hold
// data documents and packages of helpers, anywhere but below data.nri; a package
// that no policy refers to is an error, because it may have been meant as a policy.
//
// What OPA would let pass in silence is an error here: at load where it can be
// known, else a failure of the policy. There is no builtin that reaches beyond the
// document, and none whose cost cannot be told from the size of its arguments.
package rego
