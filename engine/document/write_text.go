package document

import (
	"strings"
	"unicode/utf8"

	"github.com/nri-guard/nri-guard/engine"
)

// appendName appends the key of a field, which comes with the comma before it; no
// value ends in an opening bracket.
func appendName(buf []byte, name string) []byte {
	if buf[len(buf)-1] == '{' {
		name = name[1:]
	}
	return append(buf, name...)
}

func (w *writer) key(buf []byte, name string) []byte { return append(w.text(buf, name), ':') }

// text appends a string.
func (w *writer) text(buf []byte, s string) []byte { return append(w.open(append(buf, '"'), s), '"') }

// entry appends a NAME=value of an environment. One without a name could be a value.
func (w *writer) entry(buf []byte, s string) []byte {
	name, _, ok := strings.Cut(s, "=")
	switch {
	case !w.mask.hides(name):
		return w.text(buf, s)
	case ok:
		return append(w.open(append(buf, '"'), name), "="+masked+`"`...)
	}
	return append(buf, `"`+masked+`"`...)
}

// open appends what is between the quotes of a string. What is too long is not even
// begun.
func (w *writer) open(buf []byte, s string) []byte {
	switch {
	case len(s) > w.limit-len(buf):
		w.fail(ErrTooLong)
		return buf
	case isPlain(s):
		return append(buf, s...)
	}
	return appendEscaped(buf, Valid(s))
}

// isPlain says whether a text is of ASCII that JSON shows as it is.
func isPlain(s string) bool {
	if len(s) < 8 {
		for i := range len(s) {
			if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
				return false
			}
		}
		return true
	}
	for i := 0; i < len(s)-8; i += 8 {
		if odd(eight(s[i:])) {
			return false
		}
	}
	return !odd(eight(s[len(s)-8:]))
}

// eight returns the first eight bytes; the compiler makes a single load of it.
func eight(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// odd says whether one of eight bytes is a control character, a quote, a backslash or
// no ASCII: a subtraction takes the top bit of a byte below what is subtracted, or
// below one that is odd already.
func odd(x uint64) bool {
	const each = 0x0101010101010101
	return (x|(x-each*' ')|((x^each*'"')-each)|((x^each*'\\')-each))&(each<<7) != 0
}

const hex = "0123456789abcdef"

// appendEscaped appends a valid text. What JSON does not demand to be escaped is left
// readable.
func appendEscaped(buf []byte, s string) []byte {
	plain := 0 // where what need not be escaped begins
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		buf = append(buf, s[plain:i]...)
		plain = i + 1
		if c < ' ' {
			buf = append(buf, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			buf = append(buf, '\\', c)
		}
	}
	return append(buf, s[plain:]...)
}

// mask replaces the values of variables in an environment.
type mask struct {
	on     bool
	unmask []string
}

func (m mask) hides(name string) bool { return m.on && !engine.Unmasked(m.unmask, name) }

// masked stands for the value of an environment variable.
const masked = "***"
