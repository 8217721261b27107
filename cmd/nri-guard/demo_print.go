package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/text"
)

// printDemo prints what each plugin asked, what became of it, and what came out.
func printDemo(w io.Writer, results []demoResult) error {
	style := text.StyleOf(w)
	table := text.Table{Header: []string{"container", "plugin", "asks to", "verdict", "reason"}}
	for _, r := range results {
		container, plugin := r.Container, r.Plugin
		if len(r.Asked) == 0 {
			table.Row(text.Cell{Text: container}, text.Cell{Text: "-"}, text.Cell{Text: "change nothing"}, text.Cell{Text: r.Verdict, Paint: r.got.painter(style)})
		}
		for _, c := range r.Asked {
			table.Row(text.Cell{Text: container}, text.Cell{Text: plugin}, text.Cell{Text: c.Change},
				text.Cell{Text: c.Verdict, Paint: c.outcome.painter(style)}, text.Cell{Text: c.Reason})
			container, plugin = "", ""
		}
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	if err := table.Write(w, text.Width(w), style); err != nil {
		return err
	}
	var out strings.Builder
	fmt.Fprintf(&out, "\n%s\n", style.Bold("What came out, as differences of the OCI specs:"))
	for _, r := range results {
		switch {
		case r.got == denied:
			fmt.Fprintf(&out, "\n%s: %s, as one thing that may not be is enough\n", r.Container, style.Bad("not created"))
		case len(r.Spec) == 0:
			fmt.Fprintf(&out, "\n%s: created as it was\n", r.Container)
		default:
			fmt.Fprintf(&out, "\n%s: created with\n", r.Container)
		}
		for _, l := range r.Spec {
			fmt.Fprintf(&out, "  %s %s %s\n", l.Op, l.Path, l.Value)
		}
	}
	if checkDemo(results) == nil {
		fmt.Fprintf(&out, "\n%s\n", style.Good("Everything went as it should."))
	}
	_, err := io.WriteString(w, out.String())
	return err
}
