package rego

import (
	"errors"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine"
)

// The keys of an entry that is an object.
const (
	keyMessage = "msg"
	keyChange  = "change"
)

// answer is what a policy's rules have given.
type answer struct{ denied, warned *ast.Term }

// answer adds to the verdict what one policy answered. Whatever is no well-formed
// answer is a failure of the policy.
func (a *asked) answer(result answer, v *engine.Verdict) {
	violations, err1 := a.entries(result.denied)
	v.Violations = append(v.Violations, violations...)
	var err2 error
	if a.warns {
		var warnings []engine.Violation
		warnings, err2 = a.entries(result.warned)
		v.Warnings = append(v.Warnings, warnings...)
	}
	if err := errors.Join(err1, err2); err != nil {
		v.Failures = append(v.Failures, a.failure(err))
	}
}

// entries reads a set of entries.
func (a *asked) entries(t *ast.Term) ([]engine.Violation, error) {
	if t == nil {
		return nil, errors.New("it gave no answer")
	}
	set, ok := t.Value.(ast.Set)
	if !ok {
		return nil, fmt.Errorf("its answer is of type %s and not a set", ast.ValueName(t.Value))
	}
	if set.Len() == 0 {
		return nil, nil
	}
	var list []engine.Violation
	var errs []error
	set.Foreach(func(entry *ast.Term) {
		x := engine.Violation{Policy: a.Name, Enforcement: a.enforcement}
		if err := readEntry(entry, &x); err != nil {
			errs = append(errs, fmt.Errorf("entry %v: %w", entry, err))
			return
		}
		list = append(list, x)
	})
	return list, errors.Join(errs...)
}

func readEntry(entry *ast.Term, x *engine.Violation) error {
	switch v := entry.Value.(type) {
	case ast.String:
		x.Message = string(v)
	case ast.Object:
		if err := readObject(v, x); err != nil {
			return err
		}
	default:
		return fmt.Errorf("it is of type %s, and neither a string nor an object", ast.ValueName(v))
	}
	if x.Message == "" && x.Change == "" {
		return errors.New("it has neither a message nor a change")
	}
	return nil
}

func readObject(entry ast.Object, x *engine.Violation) error {
	return entry.Iter(func(k, v *ast.Term) error {
		key, _ := k.Value.(ast.String)
		to := &x.Message
		switch key {
		case keyMessage:
		case keyChange:
			to = &x.Change
		default:
			return fmt.Errorf("unknown key %v", k)
		}
		text, ok := v.Value.(ast.String)
		if !ok || text == "" {
			return fmt.Errorf("%s must be a string that is not empty", key)
		}
		*to = string(text)
		return nil
	})
}

func (a *asked) failure(err error) engine.Failure {
	return engine.Failure{Policy: a.Name, Message: oneLine(err.Error()), Enforcement: a.enforcement}
}

func oneLine(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.ReplaceAll(strings.Join(lines, "; "), ":; ", ": ")
}
