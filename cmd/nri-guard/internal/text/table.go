package text

import (
	"io"
	"strings"
	"unicode/utf8"
)

const (
	gap       = 2
	minColumn = 10
)

// Cell is one cell of a table. Its text may have several lines.
type Cell struct {
	Text string
	// Paint colours the text after it has been laid out; nil leaves it.
	Paint func(string) string
}

// Table lays out rows in columns. Cells are wrapped where the rows would be wider
// than the table may be.
type Table struct {
	Header []string
	rows   [][]Cell
}

// Row adds a row.
func (t *Table) Row(cells ...Cell) { t.rows = append(t.rows, cells) }

// Write writes the table, no wider than width where words allow it.
func (t *Table) Write(w io.Writer, width int, s Style) error {
	header := make([]Cell, len(t.Header))
	for i, h := range t.Header {
		header[i] = Cell{Text: h, Paint: s.Bold}
	}
	rows := append([][]Cell{header}, t.rows...)
	columns := columnWidths(rows, width)
	var out strings.Builder
	for i, row := range rows {
		tall := writeRow(&out, row, columns)
		if i == 0 {
			out.WriteString(s.Dim(strings.Repeat("-", total(columns))) + "\n")
		} else if tall && i < len(rows)-1 {
			out.WriteString("\n") // keeps rows of several lines apart
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// columnWidths gives each column what its longest line needs, and takes from the
// widest until all fit.
func columnWidths(rows [][]Cell, width int) []int {
	var columns []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(columns) {
				columns = append(columns, 1)
			}
			for line := range strings.SplitSeq(c.Text, "\n") {
				columns[i] = max(columns[i], utf8.RuneCountInString(line))
			}
		}
	}
	for total(columns) > width {
		widest := 0
		for i, n := range columns {
			if n > columns[widest] {
				widest = i
			}
		}
		if columns[widest] <= minColumn {
			break
		}
		columns[widest]--
	}
	return columns
}

func total(columns []int) int {
	sum := gap * (len(columns) - 1)
	for _, n := range columns {
		sum += n
	}
	return max(sum, 0)
}

// writeRow writes a row and says whether it took more than one line.
func writeRow(out *strings.Builder, row []Cell, columns []int) (tall bool) {
	cells := make([][]string, len(row))
	height := 0
	for i, c := range row {
		cells[i] = Wrap(c.Text, columns[i])
		height = max(height, len(cells[i]))
	}
	for y := range height {
		var line strings.Builder
		pad := 0
		for i, lines := range cells {
			text := ""
			if y < len(lines) {
				text = lines[y]
			}
			if text != "" {
				line.WriteString(strings.Repeat(" ", pad))
				pad = 0
				line.WriteString(painted(row[i], text))
			}
			pad += columns[i] - utf8.RuneCountInString(text) + gap
		}
		out.WriteString(line.String() + "\n")
	}
	return height > 1
}

func painted(c Cell, text string) string {
	if c.Paint == nil {
		return text
	}
	return c.Paint(text)
}

// Wrap breaks a text into lines of at most width characters, between words where
// it can. Line breaks in the text stay.
func Wrap(s string, width int) []string {
	var lines []string
	for paragraph := range strings.SplitSeq(s, "\n") {
		lines = append(lines, wrapLine(paragraph, width)...)
	}
	return lines
}

func wrapLine(s string, width int) []string {
	var lines []string
	line, length := "", 0
	for word := range strings.FieldsSeq(s) {
		n := utf8.RuneCountInString(word)
		if length > 0 && length+1+n > width {
			lines, line, length = append(lines, line), "", 0
		}
		for n > width && length == 0 {
			head, rest := cut(word, width)
			lines, word, n = append(lines, head), rest, n-width
		}
		if length > 0 {
			line, length = line+" ", length+1
		}
		line, length = line+word, length+n
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// cut splits a word after n characters.
func cut(word string, n int) (head, rest string) {
	at := 0
	for range n {
		_, size := utf8.DecodeRuneInString(word[at:])
		at += size
	}
	return word[:at], word[at:]
}
