package request

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nri-guard/nri-guard/engine/document"
)

// isDecision says that the text is a line of the decision log, by the key that every
// such line has and no message.
func (s *source) isDecision() bool {
	var line map[string]json.RawMessage
	if json.Unmarshal(s.json, &line) != nil {
		return false // no object; the message's own decoder says what is wrong with it
	}
	_, ok := line["decision_id"]
	return ok
}

func (s *source) decision() (*Request, error) {
	var line struct {
		ID        string          `json:"decision_id"`
		Input     json.RawMessage `json:"input"`
		Masked    []string        `json:"masked"`
		Malformed []string        `json:"malformed"`
	}
	if err := json.Unmarshal(s.json, &line); err != nil {
		return nil, fmt.Errorf("%s: line of the decision log: %w", s.where(), typeError(err))
	}
	if line.Input == nil {
		return nil, fmt.Errorf("%s: decision %s has no input", s.where(), line.ID)
	}
	review, err := document.Unmarshal(line.Input)
	if err != nil {
		return nil, fmt.Errorf("%s: input of decision %s: %w", s.where(), line.ID, err)
	}
	review.Malformed = line.Malformed
	return &Request{Where: s.where(), Review: review, Masked: line.Masked}, nil
}

// typeError says which key has a value of a wrong type.
func typeError(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err
	}
	want := "a list of strings"
	if wrong.Field == "decision_id" {
		want = "a string"
	}
	return fmt.Errorf("%s: is or holds a value of type %s, must be %s", wrong.Field, wrong.Value, want)
}
