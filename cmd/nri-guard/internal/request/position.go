package request

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
)

// positioned takes a decoding error of protobuf apart. Its prefix is followed by
// either of two kinds of space, at the library's whim.
var positioned = regexp.MustCompile(`^proto:[\s\x{a0}]*(syntax error )?\(line (\d+):(\d+)\): (.*)$`)

// located gives an error of the decoder the place in the file in place of that in
// the document.
func (s *source) located(err error) error {
	m := positioned.FindStringSubmatch(err.Error())
	if m == nil {
		return fmt.Errorf("%s: %w", s.where(), err)
	}
	line, _ := strconv.Atoi(m[2])
	column, _ := strconv.Atoi(m[3])
	message := withoutValue(m[4])
	if s.column == 0 {
		return fmt.Errorf("%s:%d: %s", s.name, s.line+line-1, message)
	}
	if line == 1 {
		column += s.column - 1
	}
	return fmt.Errorf("%s:%d:%d: %s", s.name, s.line+line-1, column, message)
}

// valued are the errors of the decoder that quote a value of the text, or what stands
// where a name should and is none. It can be the value of a variable, and a secret.
var valued = regexp.MustCompile(`^(unexpected token|unknown field|invalid value for \S+ (?:field \S+|key):) (["\d-]).*$`)

// named is such an error that quotes a name.
var named = regexp.MustCompile(`^unknown field "[\w.-]+"$`)

// withoutValue puts the kind of value in place of the value.
func withoutValue(message string) string {
	m := valued.FindStringSubmatch(message)
	switch {
	case m == nil, named.MatchString(message):
		return message
	case m[2] == `"`:
		return m[1] + " (a string)"
	}
	return m[1] + " (a number)"
}

// lineReader remembers where the lines of a text begin.
type lineReader struct {
	text   io.Reader
	read   int64
	starts []int64 // of the lines but the first
}

func (l *lineReader) Read(p []byte) (int, error) {
	n, err := l.text.Read(p)
	for i, b := range p[:n] {
		if b == '\n' {
			l.starts = append(l.starts, l.read+int64(i)+1)
		}
	}
	l.read += int64(n)
	return n, err
}

// position of the byte at an offset; both count from 1.
func (l *lineReader) position(offset int64) (line, column int) {
	i, found := slices.BinarySearch(l.starts, offset)
	if found {
		i++
	}
	if i == 0 {
		return 1, int(offset) + 1
	}
	return i + 1, int(offset-l.starts[i-1]) + 1
}
