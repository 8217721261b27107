package text_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/text"
)

func TestTable(t *testing.T) {
	table := text.Table{Header: []string{"plugin", "reason"}}
	table.Row(text.Cell{Text: "10-a"}, text.Cell{Text: "it mounts a directory of the host writable"})
	table.Row(text.Cell{Text: "20-bb"}, text.Cell{Text: ""})
	table.Row(text.Cell{Text: "30-c\nagain"}, text.Cell{Text: "/a/path/without/any/place/to/break"})
	var out bytes.Buffer
	if err := table.Write(&out, 30, text.Style{}); err != nil {
		t.Fatal(err)
	}
	want := `
plugin  reason
------------------------------
10-a    it mounts a directory
        of the host writable

20-bb
30-c    /a/path/without/any/pl
again   ace/to/break
`[1:]
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	for line := range strings.Lines(out.String()) {
		if strings.TrimRight(line, " \n") != strings.TrimSuffix(line, "\n") {
			t.Errorf("%q ends with spaces", line)
		}
	}
}

func TestWrap(t *testing.T) {
	tests := []struct {
		text  string
		width int
		want  []string
	}{
		{"", 5, []string{""}},
		{"one two", 7, []string{"one two"}},
		{"one two", 6, []string{"one", "two"}},
		{"one\ntwo", 20, []string{"one", "two"}},
		{"abcdefgh", 3, []string{"abc", "def", "gh"}},
		{"x abcdefgh y", 3, []string{"x", "abc", "def", "gh", "y"}},
		{"äöüäöü", 3, []string{"äöü", "äöü"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, text.Wrap(tt.text, tt.width)); diff != "" {
			t.Errorf("Wrap(%q, %d): %s", tt.text, tt.width, diff)
		}
	}
}

func TestStyleOfNoTerminal(t *testing.T) {
	t.Setenv("COLUMNS", "")
	var out bytes.Buffer
	if got := text.StyleOf(&out).Bad("denied"); got != "denied" {
		t.Errorf("coloured: %q", got)
	}
	if got := text.Width(&out); got != text.DefaultWidth {
		t.Errorf("width %d", got)
	}
}
