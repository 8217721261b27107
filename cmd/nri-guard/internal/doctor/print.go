package doctor

import (
	"fmt"
	"io"
	"strings"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/text"
	"github.com/nri-guard/nri-guard/engine"
)

// Write writes the report for a terminal: the worst first, each with what it means, what
// it was seen from and what mends it. What needs nothing done is a line each.
func (r *Report) Write(w io.Writer, style text.Style, width int) error {
	p := &printer{style: style, width: width}
	for _, problem := range r.Problems {
		p.wrapped("", style.Bad("could not look: ")+"%s", problem)
	}
	for s := FailOpen; s <= OK; s++ {
		p.section(r, s)
	}
	p.line("", "%d fail open, %d weak, %d unknown, %d fine", r.Count(FailOpen), r.Count(Weak), r.Count(Unknown), r.Count(OK))
	_, err := io.WriteString(w, p.out.String())
	return err
}

type printer struct {
	out   strings.Builder
	style text.Style
	width int
}

func (p *printer) section(r *Report, s Severity) {
	if r.Count(s) == 0 {
		return
	}
	title, paint := p.title(s)
	p.line("", "%s", paint(title))
	for _, f := range r.Findings {
		if f.Severity == s {
			p.finding(f, paint)
		}
	}
	if s == OK {
		p.line("", "")
	}
}

func (p *printer) title(s Severity) (string, func(string) string) {
	switch s {
	case FailOpen:
		return "FAILS OPEN", p.style.Bad
	case Weak:
		return "WEAK", p.style.Mixed
	case Unknown:
		return "UNKNOWN", p.style.Mixed
	default:
		return "FINE", p.style.Good
	}
}

func (p *printer) finding(f Finding, paint func(string) string) {
	about := paint(f.About + ":")
	if f.Severity == OK {
		p.wrapped("  ", about+" %s", f.Summary)
		return
	}
	p.wrapped("  ", p.style.Bold(about)+" %s "+p.style.Dim("["+f.Check+"]"), f.Summary)
	if f.Meaning != "" {
		p.wrapped("    ", "%s", f.Meaning)
	}
	for _, e := range f.Evidence {
		p.wrapped("    ", p.style.Dim("seen:")+" %s", e)
	}
	p.fix(f.Fix)
	p.line("", "")
}

func (p *printer) fix(f *Fix) {
	if f == nil {
		return
	}
	do := f.Do
	switch {
	case f.Paste == "":
	case f.File != "":
		do += "; merge into " + f.File
	}
	p.wrapped("    ", p.style.Bold("fix:")+" %s", do)
	if f.Paste == "" {
		return
	}
	for line := range strings.SplitSeq(f.Paste, "\n") {
		p.line("        ", "%s", engine.Printable(line)) // never wrapped: it is to be pasted
	}
}

// wrapped prints a text from the node, cleaned, over as many lines as it needs.
func (p *printer) wrapped(indent, format, said string) {
	full := fmt.Sprintf(format, engine.Printable(said))
	for i, line := range text.Wrap(full, max(p.width-len(indent)-2, 20)) {
		if i > 0 {
			line = "  " + line
		}
		p.line(indent, "%s", line)
	}
}

func (p *printer) line(indent, format string, args ...any) {
	line := strings.TrimRight(indent+fmt.Sprintf(format, args...), " ")
	p.out.WriteString(line + "\n")
}
