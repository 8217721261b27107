package text

import (
	"strconv"
	"strings"
	"unicode"
)

// Clean makes text from elsewhere safe to print: characters that could move a
// terminal's cursor or reorder a line are written as escapes. Line breaks too,
// so that nobody can make one line look like two.
func Clean(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if !strings.ContainsFunc(s, unprintable) {
		return s
	}
	var out strings.Builder
	for _, r := range s {
		if unprintable(r) {
			quoted := strconv.QuoteRuneToASCII(r)
			out.WriteString(quoted[1 : len(quoted)-1])
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
