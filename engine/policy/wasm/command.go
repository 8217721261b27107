package wasm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"
)

// run runs a command to its end, which must be a success.
func (in *instance) run(start api.Function) error {
	_, err := in.call(start)
	var exit *exitError
	if errors.As(err, &exit) && exit.code == 0 {
		return nil
	}
	return err
}

// violation is what a command objects to.
type violation struct{ Message, Change string }

// maxViolations bounds what a command may object to.
const maxViolations = 1000

// readViolations reads {"violations": [{"msg": string, "change": string}]}. It
// forgives nothing: a misspelt key would be an objection that nobody hears.
func readViolations(answer []byte) (list []violation, err error) {
	if len(bytes.TrimSpace(answer)) == 0 {
		return nil, errors.New(`it is empty, and {"violations": []} is what allows`)
	}
	if !utf8.Valid(answer) {
		return nil, errors.New("it is no UTF-8")
	}
	r := &answerReader{json.NewDecoder(bytes.NewReader(answer))}
	found := false
	err = r.object("the answer", func(key string) error {
		if key != "violations" {
			return fmt.Errorf("unknown key %.100q", key)
		}
		found = true
		return r.list("violations", func() error {
			v, err := r.violation()
			if err == nil && len(list) == maxViolations {
				err = fmt.Errorf("it has more than %d violations", maxViolations)
			}
			list = append(list, v)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errors.New(`it has no key "violations"`)
	}
	if _, err := r.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something behind it")
	}
	return list, nil
}

// answerReader reads JSON token by token.
type answerReader struct{ *json.Decoder }

// token reads one token. What the decoder says of bytes that are no JSON is kept.
func (r *answerReader) token() (json.Token, error) {
	t, err := r.Token()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errors.New("it ends too early")
	}
	if err != nil {
		return nil, fmt.Errorf("it is no JSON: %s", firstLine(err))
	}
	return t, nil
}

// object reads an object; member has to read the value of each key.
func (r *answerReader) object(what string, member func(key string) error) error {
	t, err := r.token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return fmt.Errorf("%s must be an object", what)
	}
	seen := map[string]bool{}
	for {
		if t, err = r.token(); err != nil {
			return err
		}
		if t == json.Delim('}') {
			return nil
		}
		key, _ := t.(string) // JSON has no other keys
		if seen[key] {
			return fmt.Errorf("key %.100q stands there twice", key)
		}
		seen[key] = true
		if err := member(key); err != nil {
			return err
		}
	}
}

// list reads a list; element has to read each.
func (r *answerReader) list(what string, element func() error) error {
	t, err := r.token()
	if err != nil {
		return err
	}
	if t != json.Delim('[') {
		return fmt.Errorf("%s must be a list", what)
	}
	for r.More() {
		if err := element(); err != nil {
			return err
		}
	}
	_, err = r.token()
	return err
}

func (r *answerReader) violation() (v violation, err error) {
	err = r.object("a violation", func(key string) error {
		to := &v.Message
		switch key {
		case "msg":
		case "change":
			to = &v.Change
		default:
			return fmt.Errorf("unknown key %.100q of a violation", key)
		}
		t, err := r.token()
		if err != nil {
			return err
		}
		text, ok := t.(string)
		if !ok || text == "" {
			return fmt.Errorf("%s must be a string that is not empty", key)
		}
		*to = text
		return nil
	})
	if err == nil && v == (violation{}) {
		err = errors.New("a violation has neither msg nor change")
	}
	return v, err
}
