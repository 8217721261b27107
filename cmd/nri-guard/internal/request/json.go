package request

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// jsonDocuments splits a text into its JSON values.
func jsonDocuments(name string, text *bufio.Reader) iter.Seq2[*source, error] {
	return func(yield func(*source, error) bool) {
		lines := &lineReader{text: text}
		decoder := json.NewDecoder(lines)
		for {
			var raw json.RawMessage
			err := decoder.Decode(&raw)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, syntaxError(name, lines, err))
				return
			}
			line, column := lines.position(decoder.InputOffset() - int64(len(raw)))
			if !yield(&source{name: name, json: raw, line: line, column: column}, nil) {
				return
			}
		}
	}
}

func syntaxError(name string, lines *lineReader, err error) error {
	offset := lines.read
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset - 1
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the JSON text ends in the middle of a value")
	default:
		return fmt.Errorf("%s: %w", name, err)
	}
	line, column := lines.position(offset)
	return fmt.Errorf("%s:%d:%d: %w", name, line, column, err)
}
