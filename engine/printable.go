package engine

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Printable makes text from elsewhere safe for terminals and logs: characters that
// could move a terminal's cursor or reorder a line are written as escapes. Line breaks
// too, so that nobody can make one line look like two. Plugins and pods choose names,
// keys and values; everything that the engine says for people is printable, while
// documents keep what is true.
func Printable(s string) string {
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

// What is said for people of texts that others chose, in bytes: of a message, of a key,
// and of all reasons together. Plugins send megabytes, and an answer that is too long
// for the runtime to take is none.
const (
	maxMessage = 4 << 10
	maxKey     = 1 << 10
	maxReasons = 32 << 10
)

// Brief is the beginning of a text of more than so many bytes, and how long it is.
func Brief(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s... (%d bytes)", strings.ToValidUTF8(s[:most], ""), len(s))
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
