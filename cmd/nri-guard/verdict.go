package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/text"
	"github.com/nri-guard/nri-guard/engine"
)

// outcome is what a decision comes to.
type outcome int

const (
	allowed outcome = iota
	stripped
	denied
	failed // denied, and not only because a policy objects
)

func outcomeOf(d *engine.Decision) outcome {
	switch {
	case d.Allowed && len(d.Stripped) > 0:
		return stripped
	case d.Allowed:
		return allowed
	case slices.ContainsFunc(d.Failures, func(f engine.Failure) bool { return f.Enforcement < engine.Audit }):
		return failed
	}
	return denied
}

func (o outcome) String() string {
	return [...]string{"allowed", "stripped", "denied", "failed"}[o]
}

// painter colours what is said of the outcome.
func (o outcome) painter(s text.Style) func(string) string {
	return [...]func(string) string{s.Good, s.Mixed, s.Bad, s.Bad}[o]
}

// error is what a subcommand returns that came to this and nothing worse.
func (o outcome) error() error {
	switch o {
	case denied:
		return errDenied
	case failed:
		return errFailed
	}
	return nil
}

// printDecision prints the verdict on a line and, indented, what led to it.
func printDecision(w io.Writer, s text.Style, where string, r *engine.Review, d *engine.Decision) error {
	var out strings.Builder
	line := func(label, what string) {
		fmt.Fprintf(&out, "  %s  %s\n", s.Dim(fmt.Sprintf("%-9s", label)), engine.Printable(what))
	}
	fmt.Fprintf(&out, "%s: %s %s\n", engine.Printable(where), outcomeOf(d).painter(s)(outcomeOf(d).String()), engine.Printable(subject(r)))
	for _, f := range d.Failures {
		line(labelOf("failure", f.Enforcement), f.String())
	}
	for _, v := range d.Violations {
		line(labelOf("violation", v.Enforcement), v.String())
	}
	for _, v := range d.Warnings {
		line("warning", v.String())
	}
	for _, c := range d.Stripped {
		line("stripped", c.String())
	}
	for _, e := range d.Exempted {
		line("exempted", fmt.Sprintf("%s in namespace %s: %s", e.Policy, e.Namespace, e.Message))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// labelOf tells what follows from an entry when it is not what one would think.
func labelOf(kind string, e engine.Enforcement) string {
	if e == engine.Audit {
		return "audit"
	}
	return kind
}

// subject says what a review is about: "CreateContainer of shop in default/web".
func subject(r *engine.Review) string {
	what := string(r.Operation)
	if name := r.Container.GetName(); name != "" {
		what += " of " + name
	}
	if name := r.Pod.GetName(); name != "" {
		what += " in " + strings.TrimPrefix(r.Pod.GetNamespace()+"/"+name, "/")
	}
	return what + ", " + plural(len(r.Changes), "change")
}

// plural counts things: "1 change", "2 changes".
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
