// Package strict reads YAML (and with it JSON) without forgiving anything: keys
// that do not exist, keys that stand twice, keys without a value, merge keys, a
// second document and values of another kind are errors that say where.
package strict

import (
	"bytes"
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Error is one thing wrong with a document.
type Error struct {
	Line    int // from 1; 0 where it is about the whole
	Message string
}

// Lines tells the line of every key and element by its path, as in
// "plugins[0].grants[1].field".
type Lines map[string]int

// Decode reads the one document in data into the struct that v points to. Where
// it finds errors it returns them in the order of their lines, and v holds
// nothing to rely on. An empty document leaves v as it is.
//
// A key without a value is what is left when the lines below it are made comments:
// to take it for a key that is not there would lift what it was to limit.
//
// Keys are the names in the fields' yaml tags; a struct tagged inline shares its
// keys with the one around it. A list or text whose field has a tag none must not be
// empty where it is given: the tag says what it stands for that the key is not there,
// which whoever writes an empty value need not mean.
func Decode(data []byte, v any) (Lines, []Error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return Lines{}, nil
	case err != nil:
		return nil, parts(err)
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, []Error{{Message: "there must be one YAML document, not several"}}
	}
	w := &walker{lines: Lines{}}
	w.walk(document.Content[0], reflect.TypeOf(v).Elem(), "")
	if len(w.errors) == 0 {
		if err := document.Decode(v); err != nil {
			w.errors = parts(err)
		}
	}
	slices.SortStableFunc(w.errors, func(a, b Error) int { return cmp.Compare(a.Line, b.Line) })
	return w.lines, w.errors
}

var lineOf = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

// parts takes the decoder's errors apart.
func parts(err error) []Error {
	texts := []string{err.Error()}
	var several *yaml.TypeError
	if errors.As(err, &several) {
		texts = several.Errors
	}
	found := make([]Error, len(texts))
	for i, text := range texts {
		found[i].Message = strings.TrimPrefix(text, "yaml: ")
		if m := lineOf.FindStringSubmatch(text); m != nil {
			found[i].Line, _ = strconv.Atoi(m[1])
			found[i].Message = strings.TrimPrefix(text, m[0])
		}
	}
	return found
}

// walker compares a document with the Go type that it is to be read into.
type walker struct {
	lines  Lines
	errors []Error
}

func (w *walker) fail(n *yaml.Node, format string, args ...any) {
	w.errors = append(w.errors, Error{Line: n.Line, Message: fmt.Sprintf(format, args...)})
}

func (w *walker) walk(n *yaml.Node, t reflect.Type, at string) {
	if at != "" && w.lines[at] == 0 {
		w.lines[at] = n.Line
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if n.Kind == yaml.AliasNode {
		w.fail(n, "%s: aliases are not supported", name(at))
		return
	}
	if null(n) {
		if at != "" { // a document without anything is an empty one
			w.fail(n, "%s: is empty; leave it out or give it a value", name(at))
		}
		return
	}
	if u, ok := reflect.New(t).Interface().(encoding.TextUnmarshaler); ok && n.Kind == yaml.ScalarNode {
		if err := u.UnmarshalText([]byte(n.Value)); err != nil {
			w.fail(n, "%s: %v", name(at), err)
		}
		return
	}
	switch {
	case n.Kind == yaml.MappingNode && (t.Kind() == reflect.Struct || t.Kind() == reflect.Map):
		w.mapping(n, t, at)
	case n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for i, element := range n.Content {
			if null(element) {
				w.fail(element, "%s[%d]: there is nothing", name(at), i)
				continue
			}
			w.walk(element, t.Elem(), fmt.Sprintf("%s[%d]", at, i))
		}
	case t.Kind() == reflect.Struct || t.Kind() == reflect.Map:
		w.fail(n, "%s: must be a mapping", name(at))
	case t.Kind() == reflect.Slice:
		w.fail(n, "%s: must be a list", name(at))
	default:
		if err := n.Decode(reflect.New(t).Interface()); err != nil {
			w.fail(n, "%s: %s", name(at), parts(err)[0].Message)
		}
	}
}

// null says whether there is no value.
func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func (w *walker) mapping(n *yaml.Node, t reflect.Type, at string) {
	var known map[string]reflect.StructField
	if t.Kind() == reflect.Struct {
		known = map[string]reflect.StructField{}
		keys(t, known)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		path := strings.TrimPrefix(at+"."+key.Value, ".")
		w.lines[path] = key.Line
		field, ok := known[key.Value]
		if t.Kind() == reflect.Map {
			field, ok = reflect.StructField{Type: t.Elem()}, true
		}
		switch {
		case key.Kind != yaml.ScalarNode || key.Tag == "!!merge":
			w.fail(key, "%s: keys must be plain text", name(at))
		case !ok:
			w.fail(key, "unknown key %q; known here: %s", path, strings.Join(sorted(known), ", "))
		case seen[key.Value]:
			w.fail(key, "key %q stands here twice", path)
		default:
			w.walk(value, field.Type, path)
			w.some(value, field.Tag.Get("none"), path)
		}
		seen[key.Value] = true
	}
}

// some reports an empty value where that would stand for something.
func (w *walker) some(n *yaml.Node, none, at string) {
	switch {
	case none == "":
	case n.Kind == yaml.SequenceNode && len(n.Content) == 0:
		w.fail(n, "%s: an empty list would stand for %s; leave it out if that is meant, or name some", at, none)
	case n.Kind == yaml.ScalarNode && !null(n) && n.Value == "":
		w.fail(n, "%s: an empty text would stand for %s; leave it out if that is meant, or give it a value", at, none)
	}
}

// keys collects the keys of a struct's mapping.
func keys(t reflect.Type, into map[string]reflect.StructField) {
	for i := range t.NumField() {
		field := t.Field(i)
		key, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		switch {
		case options == "inline":
			keys(field.Type, into)
		case field.IsExported() && key != "" && key != "-":
			into[key] = field
		}
	}
}

func sorted(known map[string]reflect.StructField) []string {
	names := make([]string, 0, len(known))
	for key := range known {
		names = append(names, key)
	}
	slices.Sort(names)
	return names
}

func name(at string) string {
	if at == "" {
		return "the document"
	}
	return at
}
