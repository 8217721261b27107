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
	if s.column == 0 {
		return fmt.Errorf("%s:%d: %s", s.name, s.line+line-1, m[4])
	}
	if line == 1 {
		column += s.column - 1
	}
	return fmt.Errorf("%s:%d:%d: %s", s.name, s.line+line-1, column, m[4])
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
