package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Enforcement says what follows from a policy's violations.
type Enforcement int

// The enforcements, strictest first. The zero value denies.
const (
	Deny  Enforcement = iota // the operation is denied
	Strip                    // the change objected to is taken out; where that is impossible, Deny
	Audit                    // recorded, nothing more
	Off                      // the policy is not evaluated
)

var enforcements = []string{"deny", "strip", "audit", "off"}

// String gives the name used in configuration and documents.
func (e Enforcement) String() string {
	if e < Deny || e > Off {
		return fmt.Sprintf("Enforcement(%d)", int(e))
	}
	return enforcements[e]
}

// denies says whether an objection or a failure denies. What is no enforcement at
// all denies too.
func (e Enforcement) denies() bool { return e != Audit && e != Off }

// MarshalText implements [encoding.TextMarshaler].
func (e Enforcement) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]; it knows deny, strip,
// audit and off.
func (e *Enforcement) UnmarshalText(text []byte) error {
	for i, name := range enforcements {
		if string(text) == name {
			*e = Enforcement(i)
			return nil
		}
	}
	return fmt.Errorf("enforcement %q is none of %s", text, strings.Join(enforcements, ", "))
}

// Violation is one objection of one policy.
type Violation struct {
	Policy  string `json:"policy"`
	Message string `json:"message"`
	// Plugin that the change is attributed to, INDEX-NAME; empty where nobody or
	// more than one can be named.
	Plugin string `json:"plugin"`
	// Change is the id of the change objected to; empty where the policy objects
	// to the review as a whole, which cannot be stripped.
	Change string `json:"change"`
	// Field and Key are those of the change.
	Field Field  `json:"field,omitempty"`
	Key   string `json:"key,omitempty"`
	// Enforcement is the policy's, as configured.
	Enforcement Enforcement `json:"enforcement"`
}

// Failure says that a policy could not decide. It denies unless the policy is
// enforced as [Audit].
type Failure struct {
	// Policy is empty where it was not a policy that failed: a malformed review,
	// a record that could not be written.
	Policy      string      `json:"policy"`
	Message     string      `json:"message"`
	Enforcement Enforcement `json:"enforcement"`
}

// Exempted records that an exemption of the configuration lifted a policy's
// violation or failure.
type Exempted struct {
	Policy    string `json:"policy"`
	Namespace string `json:"namespace"`
	Message   string `json:"message"`
}

// Cost is what one policy burnt for a decision.
type Cost struct {
	Policy string `json:"policy"`
	// Fuel is about the number of instructions that were carried out.
	Fuel uint64 `json:"fuel"`
}

// addCosts adds to a list that is sorted by policy.
func addCosts(list, more []Cost) []Cost {
	for _, c := range more {
		i, ok := slices.BinarySearchFunc(list, c.Policy, func(x Cost, policy string) int { return strings.Compare(x.Policy, policy) })
		if ok {
			list[i].Fuel += c.Fuel
			continue
		}
		list = slices.Insert(list, i, c)
	}
	return list
}

// Decision is the answer to a [Review]. The zero value denies.
//
// All lists are sorted, so that the same review and rules give the same
// decision but for ID, Time and Duration.
type Decision struct {
	// ID is unique: a UUID of version 4.
	ID string
	// Time is when the review was received.
	Time time.Time
	// Allowed says whether what Approved holds may be applied.
	Allowed bool
	// Violations are those of every policy that is not [Off], whatever the
	// enforcement; what was stripped is explained here too.
	Violations []Violation
	// Warnings are what policies remark without objecting.
	Warnings []Violation
	Failures []Failure
	// Stripped are the changes that were taken out.
	Stripped []*Change
	Exempted []Exempted
	// Costs are what policies burnt that are metered, a second judgement after a strip
	// included.
	Costs []Cost
	// Revision names the policies and the configuration that decided.
	Revision string
	Duration time.Duration
	// Approved is what may be applied: the review, less what was stripped. Nil
	// when denied.
	Approved *Review
}

// Denied is the error form of a decision that denies.
type Denied struct {
	Operation Operation
	Decision  *Decision
}

// Error lists the reasons, each with policy, plugin, field and key; see
// [Decision.Reasons].
func (e *Denied) Error() string {
	reasons := e.Decision.Reasons()
	if len(reasons) == 0 {
		reasons = []string{"no reason was given"}
	}
	return fmt.Sprintf("nri-guard denied %s: %s", e.Operation, strings.Join(reasons, "; "))
}

// Err returns nil when the decision allows, else a [*Denied].
func (d *Decision) Err(op Operation) error {
	if d.Allowed {
		return nil
	}
	return &Denied{Operation: op, Decision: d}
}

// Reasons are the lines that explain a denial: failures first, then the
// violations of policies that are enforced. There are some 32 KiB at most; a last line
// says how many more reasons there are.
func (d *Decision) Reasons() []string {
	var lines []string
	size, more := 0, 0
	add := func(e Enforcement, reason fmt.Stringer) {
		switch {
		case !e.denies():
		case size >= maxReasons:
			more++
		default:
			lines = append(lines, reason.String())
			size += len(lines[len(lines)-1])
		}
	}
	for _, f := range d.Failures {
		add(f.Enforcement, f)
	}
	for _, v := range d.Violations {
		add(v.Enforcement, v)
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return lines
}

// String gives one [Printable] line: policy, message, and what it is about.
func (v Violation) String() string {
	var about []string
	if v.Plugin != "" {
		about = append(about, "plugin "+v.Plugin)
	}
	if v.Field != "" {
		about = append(about, strings.TrimSpace(string(v.Field)+" "+Brief(v.Key, maxKey)))
	}
	if len(about) == 0 {
		return Printable(v.Policy + ": " + v.Message)
	}
	return Printable(v.Policy + ": " + v.Message + " (" + strings.Join(about, ", ") + ")")
}

// String gives one [Printable] line: the policy, where there is one, and what went
// wrong.
func (f Failure) String() string {
	if f.Policy == "" {
		return Printable(f.Message)
	}
	return Printable(f.Policy + ": could not decide: " + f.Message)
}
