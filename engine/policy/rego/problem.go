package rego

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Problem is one thing that is wrong with a source, or worth a remark.
type Problem struct {
	File string `json:"file"`
	// Line counts from 1; 0 where the problem is with the file as a whole.
	Line    int    `json:"line,omitempty"`
	Message string `json:"message"`
}

// String gives file:line: message.
func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Message
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
}

// LoadError holds everything that keeps sources from being loaded, sorted by
// file and line.
type LoadError struct{ Problems []Problem }

// Error gives a line for each problem.
func (e *LoadError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// problems collects what goes wrong while loading.
type problems struct{ list []Problem }

func (p *problems) add(file string, line int, format string, args ...any) {
	p.list = append(p.list, Problem{File: file, Line: line, Message: fmt.Sprintf(format, args...)})
}

func (p *problems) at(loc *ast.Location, format string, args ...any) {
	p.add(loc.File, loc.Row, format, args...)
}

// ast adds what OPA's parser or compiler reports of the given file.
func (p *problems) ast(file string, err error) {
	list := astErrors(err)
	if len(list) == 0 {
		p.add(file, 0, "%v", err)
	}
	for _, e := range list {
		at := Problem{File: file}
		if e.Location != nil && e.Location.File != "" {
			at.File, at.Line = e.Location.File, e.Location.Row
		}
		p.add(at.File, at.Line, "%s", message(e))
	}
}

// astErrors returns the errors of OPA's that err is made of, if it is.
func astErrors(err error) ast.Errors {
	var list ast.Errors
	var one *ast.Error
	switch {
	case errors.As(err, &list):
		return list
	case errors.As(err, &one):
		return ast.Errors{one}
	}
	return nil
}

// message writes an error of OPA's on one line, with the reason where a builtin
// is not there on purpose.
func message(e *ast.Error) string {
	text := e.Message
	if name, ok := strings.CutPrefix(text, "undefined function "); ok {
		if why := refusal(name); why != "" {
			text += ": " + why
		}
	}
	if e.Details == nil {
		return text
	}
	var details []string
	for _, line := range e.Details.Lines() {
		if line = strings.TrimSpace(line); strings.Trim(line, "^") != "" {
			details = append(details, line)
		}
	}
	return text + " (" + strings.Join(details, " ") + ")"
}

// err returns what was collected as an error, sorted and each problem once, or nil.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	return &LoadError{Problems: sorted(p.list)}
}

func sorted(list []Problem) []Problem {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(list)
}
