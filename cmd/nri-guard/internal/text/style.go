// Package text lays out text for a terminal: colours where they are wanted, and
// tables that keep to its width.
package text

import (
	"cmp"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// DefaultWidth is the width that text is wrapped to where there is no terminal.
const DefaultWidth = 100

// Style colours text. The zero value leaves it as it is.
type Style struct{ colours bool }

// StyleOf returns the style for a writer: colours on a terminal, none anywhere
// else, and none where NO_COLOR is set (https://no-color.org) or TERM is dumb.
func StyleOf(w io.Writer) Style {
	_, isTerminal := width(w)
	return Style{colours: isTerminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// Colours says whether it uses any.
func (s Style) Colours() bool { return s.colours }

// Width returns the number of columns of the terminal that w writes to: what
// COLUMNS says, else what the terminal says, else [DefaultWidth].
func Width(w io.Writer) int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	n, _ := width(w)
	return cmp.Or(n, DefaultWidth)
}

// width of a terminal, 0 where it does not know, and whether w is one.
func width(w io.Writer) (int, bool) {
	f, ok := w.(*os.File)
	if !ok {
		return 0, false
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, false
	}
	return int(size.Col), true
}

func (s Style) paint(code, text string) string {
	if !s.colours || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Bold is for headings.
func (s Style) Bold(text string) string { return s.paint("1", text) }

// Dim is for what matters less.
func (s Style) Dim(text string) string { return s.paint("2", text) }

// Good is for what was allowed.
func (s Style) Good(text string) string { return s.paint("32", text) }

// Bad is for what was denied or failed.
func (s Style) Bad(text string) string { return s.paint("31", text) }

// Mixed is for what was allowed in part, and for warnings.
func (s Style) Mixed(text string) string { return s.paint("33", text) }
