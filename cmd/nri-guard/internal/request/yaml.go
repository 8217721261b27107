package request

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// Bounds on what aliases can make of a document.
const (
	maxNesting = 200
	maxSize    = 4 << 20
)

// yamlDocuments splits a text into its YAML documents and turns each into JSON.
// Documents without any content are passed over: the markers between documents
// are often found at the end, too.
func yamlDocuments(name string, text *bufio.Reader) iter.Seq2[*source, error] {
	return func(yield func(*source, error) bool) {
		decoder := yaml.NewDecoder(text)
		for {
			var node yaml.Node
			err := decoder.Decode(&node)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, yamlError(name, err))
				return
			}
			if len(node.Content) == 0 || isBlank(node.Content[0]) {
				continue
			}
			root := node.Content[0]
			out := jsonWriter{line: root.Line}
			if err := out.node(root, 0); err != nil {
				yield(nil, fmt.Errorf("%s:%w", name, err))
				return
			}
			if !yield(&source{name: name, json: out.text.Bytes(), line: root.Line}, nil) {
				return
			}
		}
	}
}

func isBlank(n *yaml.Node) bool { return n.ShortTag() == "!!null" && n.Value == "" }

var (
	yamlLine   = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)
	yamlAnchor = regexp.MustCompile(`^yaml: unknown anchor '`)
)

// yamlError says where the text is no YAML. The decoder quotes none of it but what
// looks like an alias, which may well be a value that begins with an asterisk.
func yamlError(name string, err error) error {
	if yamlAnchor.MatchString(err.Error()) {
		return fmt.Errorf("%s: an alias has no anchor; quote a value that begins with an asterisk", name)
	}
	m := yamlLine.FindStringSubmatch(err.Error())
	if m == nil || m[1] == "" {
		return fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("%s:%s: %s", name, m[1], m[2])
}

// jsonWriter writes YAML as JSON, each value on the line that it has in the YAML
// text, so that whoever reads the JSON names the right line in its errors.
type jsonWriter struct {
	text bytes.Buffer
	line int
}

func (w *jsonWriter) node(n *yaml.Node, depth int) error {
	for ; w.line < n.Line; w.line++ {
		w.text.WriteByte('\n')
	}
	if depth > maxNesting || w.text.Len() > maxSize {
		return fmt.Errorf("%d: nested too deeply, or too large once its aliases are followed", w.line)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return w.node(n.Alias, depth+1)
	case yaml.MappingNode:
		return w.mapping(n, depth)
	case yaml.SequenceNode:
		return w.sequence(n, depth)
	default:
		return w.scalar(n)
	}
}

func (w *jsonWriter) sequence(n *yaml.Node, depth int) error {
	w.text.WriteByte('[')
	for i, item := range n.Content {
		if i > 0 {
			w.text.WriteByte(',')
		}
		if err := w.node(item, depth+1); err != nil {
			return err
		}
	}
	w.text.WriteByte(']')
	return nil
}

func (w *jsonWriter) mapping(n *yaml.Node, depth int) error {
	w.text.WriteByte('{')
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if i > 0 {
			w.text.WriteByte(',')
		}
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
			return fmt.Errorf("%d: keys must be plain names; merge keys are not supported", key.Line)
		}
		name := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key.Value, Line: key.Line}
		if err := w.node(name, depth+1); err != nil {
			return err
		}
		w.text.WriteByte(':')
		if err := w.node(value, depth+1); err != nil {
			return err
		}
	}
	w.text.WriteByte('}')
	return nil
}

func (w *jsonWriter) scalar(n *yaml.Node) error {
	var value any
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!timestamp":
		value = n.Value
	case "!!null", "!!bool", "!!int", "!!float":
		if err := n.Decode(&value); err != nil {
			return fmt.Errorf("%d: is no value of type %s", n.Line, tag) // err quotes it
		}
	default:
		return fmt.Errorf("%d: tags are not supported; quote a value that begins with an exclamation mark", n.Line)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("%d: %w", n.Line, err)
	}
	w.text.Write(text)
	return nil
}
