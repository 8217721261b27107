package audit

import (
	"fmt"
	"io"
)

// lines writes whole lines. What a failed write left behind is ended before the
// next line, so that a full disk costs the line that did not fit and no other.
type lines struct {
	to   io.Writer
	torn bool
}

// write writes a line, which ends with its newline, with a single call.
func (l *lines) write(line []byte) error {
	if l.torn && len(line) > 0 {
		line = append([]byte{'\n'}, line...)
	}
	n, err := l.to.Write(line)
	if n > 0 && n <= len(line) {
		l.torn = line[n-1] != '\n'
	}
	if err == nil && n != len(line) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("decision log: %w", err)
	}
	return nil
}

func (l *lines) close() error { return nil }
