// Package jsondiff says what differs between two values in their JSON form.
package jsondiff

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Line is one thing that is in one of the values only.
type Line struct {
	// Op is "-" for what was there before, "+" for what is there after.
	Op string `json:"op"`
	// Path leads to the value: process.env, annotations["a.b/c"]. That of an
	// element of a list is the list's.
	Path string `json:"path"`
	// Value is JSON text.
	Value json.RawMessage `json:"value"`
}

// Diff compares two values. Objects are compared key by key, lists by what they
// hold, in whatever order. Lines are in the order of their paths; for each path
// what was there comes first.
func Diff(before, after any) ([]Line, error) {
	a, err := generic(before)
	if err != nil {
		return nil, err
	}
	b, err := generic(after)
	if err != nil {
		return nil, err
	}
	var d differ
	d.compare("", a, b)
	return d.lines, nil
}

func generic(v any) (any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var g any
	err = decoder.Decode(&g)
	return g, err
}

type differ struct{ lines []Line }

func (d *differ) compare(path string, a, b any) {
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			d.objects(path, x, y)
			return
		}
	case []any:
		if y, ok := b.([]any); ok {
			d.lists(path, x, y)
			return
		}
	}
	if text(a) != text(b) {
		d.all("-", path, a)
		d.all("+", path, b)
	}
}

func (d *differ) objects(path string, a, b map[string]any) {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		d.compare(join(path, key), a[key], b[key])
	}
}

// lists pairs elements that are alike. What is left was removed or added.
func (d *differ) lists(path string, a, b []any) {
	count := map[string]int{}
	for _, e := range b {
		count[text(e)]++
	}
	for _, e := range a {
		t := text(e)
		if count[t] == 0 {
			d.line("-", path, t)
			continue
		}
		count[t]--
	}
	var added []string
	for _, e := range slices.Backward(b) { // of several alike the last was added
		if t := text(e); count[t] > 0 {
			count[t]--
			added = append(added, t)
		}
	}
	for _, t := range slices.Backward(added) {
		d.line("+", path, t)
	}
}

// all writes a value that is there on one side only: objects and lists a line for
// each element.
func (d *differ) all(op, path string, v any) {
	switch v := v.(type) {
	case nil:
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			d.all(op, join(path, key), v[key])
		}
	case []any:
		for _, e := range v {
			d.line(op, path, text(e))
		}
	default:
		d.line(op, path, text(v))
	}
}

func (d *differ) line(op, path, value string) {
	d.lines = append(d.lines, Line{Op: op, Path: path, Value: json.RawMessage(value)})
}

var plain = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func join(path, key string) string {
	if !plain.MatchString(key) {
		return path + "[" + text(key) + "]"
	}
	return strings.TrimPrefix(path+"."+key, ".")
}

// text writes what came from JSON as JSON, which cannot fail.
func text(v any) string {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v)
	return strings.TrimSuffix(out.String(), "\n")
}
