package audit

import (
	"encoding/json"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/document"
)

// Result is the JSON form of a decision: the result in the decision log, and what
// nri-guard eval prints. No list in it is null.
type Result struct {
	Allowed    bool               `json:"allowed"`
	Violations []engine.Violation `json:"violations"`
	Warnings   []engine.Violation `json:"warnings"`
	Failures   []engine.Failure   `json:"failures"`
	// Stripped are changes in the form that they have in the review document.
	Stripped []json.RawMessage `json:"stripped"`
	Exempted []engine.Exempted `json:"exempted"`
	// Costs are the fuel that each WebAssembly policy burnt.
	Costs    []engine.Cost `json:"costs,omitempty"`
	Revision string        `json:"revision"`
}

// NewResult returns the JSON form of a decision. Values of environment variables
// whose names match none of the patterns are masked in what was stripped.
func NewResult(d *engine.Decision, unmask []string) (Result, error) {
	stripped := make([]json.RawMessage, 0, len(d.Stripped))
	for _, c := range d.Stripped {
		text, err := document.AppendChange(nil, c, document.Options{Mask: true, Unmask: unmask})
		if err != nil {
			return Result{}, err
		}
		stripped = append(stripped, text)
	}
	return Result{
		Allowed:    d.Allowed,
		Violations: list(d.Violations),
		Warnings:   list(d.Warnings),
		Failures:   list(d.Failures),
		Stripped:   stripped,
		Exempted:   list(d.Exempted),
		Costs:      d.Costs,
		Revision:   d.Revision,
	}, nil
}

func list[T any](entries []T) []T {
	if entries == nil {
		return []T{}
	}
	return entries
}
