package doctor

import (
	"cmp"
	"fmt"
	"slices"
)

// Severity says what a finding means for the node.
type Severity int

// The severities, the worst first.
const (
	// FailOpen: changes can reach a container unjudged.
	FailOpen Severity = iota
	// Weak: the guard holds, but less than it could.
	Weak
	// Unknown: it could not be told.
	Unknown
	// OK: looked at and found fine.
	OK
)

// String returns the severity as it is written in JSON.
func (s Severity) String() string {
	return [...]string{"fail-open", "weak", "unknown", "ok"}[s]
}

// MarshalText implements [encoding.TextMarshaler].
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one thing that was looked at.
type Finding struct {
	// Check names the kind of finding, such as required-plugin.
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	// About is the runtime that it is about, "guard", or "node".
	About string `json:"about"`
	// Summary is what is, in a line; Meaning what follows from it.
	Summary string `json:"summary"`
	Meaning string `json:"meaning,omitempty"`
	// Evidence is what it was seen from: places in files, modes of files, processes.
	Evidence []string `json:"evidence,omitempty"`
	Fix      *Fix     `json:"fix,omitempty"`
}

// Fix is what mends a finding.
type Fix struct {
	// Do says what to do, in a sentence.
	Do string `json:"do"`
	// File is what Paste is to be merged into, "" for a shell. Where a section is there
	// already, its lines belong into that one. Without Paste the words are all there is.
	File  string `json:"file,omitempty"`
	Paste string `json:"paste,omitempty"`
}

// Report is what was found on a node.
type Report struct {
	Findings []Finding `json:"findings"`
	// Problems are what could not be looked at: files that cannot be read or understood.
	// With one of them there may be more to find than was found.
	Problems []string `json:"problems,omitempty"`
}

// Count tells how many findings are of a severity.
func (r *Report) Count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// add takes up findings of one check.
func (r *Report) add(check string, found []Finding) {
	for _, f := range found {
		f.Check = check
		r.Findings = append(r.Findings, f)
	}
}

// sort puts the worst first; within a severity the order of the checks stays.
func (r *Report) sort() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return cmp.Compare(a.Severity, b.Severity) })
}

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}
