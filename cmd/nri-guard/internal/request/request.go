// Package request reads recorded requests: NRI's ValidateContainerAdjustmentRequest
// as protobuf JSON or YAML, several in a file if need be, and lines of the
// decision log.
//
// It is strict. A name that the message does not have, a value of a wrong type
// and an empty message are errors that say where, because a request that was
// read otherwise than it was meant would be judged, and most likely allowed.
package request

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
)

// Request is one recorded question: a message or, from a decision log, a review.
type Request struct {
	// Where is the file and the line that the request begins on, "file:line".
	Where string
	// Message is what a validator was asked; nil when Review is set.
	Message *api.ValidateContainerAdjustmentRequest
	// Review is the input of a recorded decision; nil when Message is set.
	Review *engine.Review
	// Masked names, as JSON pointers, what was masked in the recorded decision. A
	// policy that looks at one of them cannot judge as it did then.
	Masked []string
}

// Read reads requests until the end of r or the first error. The name is for
// messages; when it ends in .yaml or .yml the text is YAML, in .json, .ndjson or
// .jsonl JSON, else JSON where it begins with a brace. A text without any request
// is an error.
func Read(name string, r io.Reader) iter.Seq2[*Request, error] {
	return func(yield func(*Request, error) bool) {
		text := bufio.NewReader(r)
		skipByteOrderMark(text)
		documents := yamlDocuments
		if isJSON(name, text) {
			documents = jsonDocuments
		}
		empty := true
		for d, err := range documents(name, text) {
			empty = false
			var request *Request
			if err == nil {
				request, err = d.request()
			}
			if !yield(request, err) || err != nil {
				return
			}
		}
		if empty {
			yield(nil, fmt.Errorf("%s: holds no request", name))
		}
	}
}

func skipByteOrderMark(text *bufio.Reader) {
	mark := []byte("\ufeff")
	if head, _ := text.Peek(len(mark)); bytes.Equal(head, mark) {
		_, _ = text.Discard(len(mark))
	}
}

func isJSON(name string, text *bufio.Reader) bool {
	switch filepath.Ext(name) {
	case ".json", ".ndjson", ".jsonl":
		return true
	case ".yaml", ".yml":
		return false
	}
	head, _ := text.Peek(512)
	return bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("{"))
}

// source is the JSON text of one request and where it begins.
type source struct {
	name string
	json []byte
	line int
	// column of the first line, 0 where columns mean nothing because the text was
	// YAML.
	column int
}

func (s *source) where() string { return fmt.Sprintf("%s:%d", s.name, s.line) }

func (s *source) request() (*Request, error) {
	if s.isDecision() {
		return s.decision()
	}
	message := &api.ValidateContainerAdjustmentRequest{}
	if err := protojson.Unmarshal(s.json, message); err != nil {
		return nil, s.located(err)
	}
	if isEmpty(message) {
		return nil, fmt.Errorf("%s: %w", s.where(), errEmpty)
	}
	return &Request{Where: s.where(), Message: message}, nil
}

var errEmpty = errors.New("the request is empty: no pod, no container, nothing to adjust or to update")

// isEmpty says that there is nothing to judge, whoever was consulted about it.
func isEmpty(m *api.ValidateContainerAdjustmentRequest) bool {
	return proto.Size(m.GetPod()) == 0 && proto.Size(m.GetContainer()) == 0 && proto.Size(m.GetAdjust()) == 0 && len(m.GetUpdate()) == 0
}
