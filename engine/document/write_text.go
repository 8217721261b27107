package document

import (
	"encoding/binary"
	"strings"

	"github.com/nri-guard/nri-guard/engine"
)

// name appends the key of a field, which comes with the comma before it; no value
// ends in an opening bracket.
func (w *writer) name(s string) {
	if w.buf[len(w.buf)-1] == '{' {
		s = s[1:]
	}
	w.buf = append(w.buf, s...)
}

func (w *writer) key(name string) {
	w.text(name)
	w.byte(':')
}

// text appends a string.
func (w *writer) text(s string) { w.quoted(s, "") }

// entry appends a NAME=value of an environment.
func (w *writer) entry(s string) {
	name, _, ok := strings.Cut(s, "=")
	switch {
	case !w.mask.hides(name):
		w.text(s)
	case ok:
		w.quoted(name, "="+masked)
	default:
		w.text(masked)
	}
}

// quoted appends one string made of two, of which the second has nothing to escape.
// What is too long is not even begun.
func (w *writer) quoted(s, plain string) {
	if len(s)+len(plain) > w.limit-len(w.buf) {
		w.fail(ErrTooLong)
		return
	}
	buf := append(w.buf, '"')
	start := len(buf)
	buf = append(buf, s...)
	if !isPlain(buf[start:]) {
		buf = appendEscaped(buf[:start], Valid(s))
	}
	buf = append(buf, plain...)
	w.buf = append(buf, '"')
}

// isPlain says whether a text is of ASCII that JSON shows as it is.
func isPlain(s []byte) bool {
	for ; len(s) >= 8; s = s[8:] {
		if odd(binary.LittleEndian.Uint64(s)) {
			return false
		}
	}
	for _, c := range s {
		if c < ' ' || c == '"' || c == '\\' || c >= 0x80 {
			return false
		}
	}
	return true
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
