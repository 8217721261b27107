package audit

import (
	"encoding/json"
	"sync"
	"time"
	"unicode/utf8"
)

// line is a line of the log that is being put together: JSON as encoding/json writes
// it. That is called only where there is something to escape, and for what is rare.
type line struct {
	buf []byte
	err error // the first
}

// spare are lines that are written; what they hold is written over.
var spare = sync.Pool{New: func() any { return &line{buf: make([]byte, 0, 16<<10)} }}

// mostSpare is how many bytes are kept for the next line: few are longer.
const mostSpare = 64 << 10

// release gives a line back, which must not be used any more.
func (l *line) release() {
	if cap(l.buf) <= mostSpare {
		spare.Put(l)
	}
}

// Write appends.
func (l *line) Write(text []byte) (int, error) {
	l.buf = append(l.buf, text...)
	return len(text), nil
}

// add takes a buffer that was appended to.
func (l *line) add(buf []byte, err error) {
	switch {
	case err == nil:
		l.buf = buf
	case l.err == nil:
		l.err = err
	}
}

func (l *line) raw(s string) { l.buf = append(l.buf, s...) }

// next separates an element of a list from the one before it, which ends in no bracket
// that opens.
func (l *line) next() {
	if l.buf[len(l.buf)-1] != '[' {
		l.buf = append(l.buf, ',')
	}
}

func (l *line) json(v any) {
	e := json.NewEncoder(l)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	if err == nil {
		l.buf = l.buf[:len(l.buf)-1] // the newline
	}
	l.add(l.buf, err)
}

// listed writes a key and a list, in place of null an empty one.
func listed[T any](l *line, key string, list []T) {
	l.raw(key)
	if len(list) == 0 {
		l.raw("[]")
		return
	}
	l.json(list)
}

func (l *line) texts(list []string) {
	l.raw("[")
	for _, s := range list {
		l.next()
		l.text(s)
	}
	l.raw("]")
}

func (l *line) text(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			l.json(s)
			return
		}
	}
	l.raw(`"`)
	l.raw(s)
	l.raw(`"`)
}

func (l *line) time(t time.Time) {
	l.raw(`"`)
	l.add(t.AppendText(l.buf))
	l.raw(`"`)
}
