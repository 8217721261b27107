package strict_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy/internal/strict"
)

type inner struct {
	Names []string      `yaml:"names"`
	Only  []string      `yaml:"only" none:"everything"`
	Limit *int64        `yaml:"limit"`
	Wait  time.Duration `yaml:"wait"`
	Exe   string        `yaml:"exe" none:"any program"`
}

type outer struct {
	Shared      `yaml:",inline"`
	Inner       inner                         `yaml:"inner"`
	List        []inner                       `yaml:"list"`
	Enforcement map[string]engine.Enforcement `yaml:"enforcement"`
}

type Shared struct {
	Version int `yaml:"version"`
}

func TestDecode(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", ""},
		{"good", "version: 1\ninner: {names: [a], limit: 3, wait: 500ms}\nlist: [{limit: 1}]\nenforcement: {a: strip}\n", ""},
		{"nothing but a comment", "# version: 1\n", ""},
		{"an empty document", "---\n", ""},
		{"keys without a value", "version:\ninner:\n  # names: [a]\nlist: ~\nenforcement: {a: null, b: }\n",
			"1: version: is empty; leave it out or give it a value\n2: inner: is empty; leave it out or give it a value\n" +
				"4: list: is empty; leave it out or give it a value\n5: enforcement.a: is empty; leave it out or give it a value\n" +
				"5: enforcement.b: is empty; leave it out or give it a value"},
		{"a pointer without a value", "inner:\n  limit:\n", "2: inner.limit: is empty; leave it out or give it a value"},
		{"a text that says null", "inner: {names: ['null', '']}\n", ""},
		{"empty collections", "inner: {names: []}\nlist: []\nenforcement: {}\n", ""},
		{"an empty list that stands for everything", "list:\n- only:\n  - a\n- only:\n    []\n",
			"5: list[1].only: an empty list would stand for everything; leave it out if that is meant, or name some"},
		{"null in a list", "list: [{limit: 1}, null]\n", "1: list[1]: there is nothing"},
		{"json", `{"version": 1, "inner": {"names": ["a"]}}`, ""},
		{"an empty text that stands for anything", "inner:\n  exe: ''\nlist: [{exe: null}]\n",
			"2: inner.exe: an empty text would stand for any program; leave it out if that is meant, or give it a value\n" +
				"3: list[0].exe: is empty; leave it out or give it a value"},
		{"unknown key", "inner:\n  name: a\n", `2: unknown key "inner.name"; known here: exe, limit, names, only, wait`},
		{"unknown key in a list", "list:\n- limit: 1\n- limits: 1\n", `3: unknown key "list[1].limits"; known here: exe, limit, names, only, wait`},
		{"unknown key at the top", "inner: {}\nwasm: {}\n", `2: unknown key "wasm"; known here: enforcement, inner, list, version`},
		{"doubled key", "version: 1\nversion: 1\n", `2: key "version" stands here twice`},
		{"bad text", "enforcement:\n  a: deny\n  b: maybe\n", `3: enforcement.b: enforcement "maybe" is none of deny, strip, audit, off`},
		{"wrong kind", "inner: 7\nlist: {}\n", "1: inner: must be a mapping\n2: list: must be a list"},
		{"wrong scalar", "version: 1\ninner:\n  limit: many\n", "3: inner.limit: cannot unmarshal !!str `many` into int64"},
		{"wrong duration", "inner:\n  wait: soon\n", "2: inner.wait: cannot unmarshal !!str `soon` into time.Duration"},
		{"two documents", "version: 1\n---\nversion: 2\n", "0: there must be one YAML document, not several"},
		{"alias", "inner: &a {limit: 1}\nlist: [*a]\n", "2: list[0]: aliases are not supported"},
		{"merge", "inner: {<<: {limit: 1}}\n", "1: inner: keys must be plain text"},
		{"no yaml", "version: [\n", "1: did not find expected node content"},
		{"a list", "- version: 1\n", "1: the document: must be a mapping"},
		{"key that is a list", "? [a]\n: 1\n", "1: the document: keys must be plain text"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var v outer
			_, errs := strict.Decode([]byte(tt.in), &v)
			var got []string
			for _, e := range errs {
				got = append(got, fmt.Sprintf("%d: %s", e.Line, e.Message))
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, "\n")); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLines(t *testing.T) {
	lines, errs := strict.Decode([]byte("version: 1\nlist:\n  - limit: 1\n  - names:\n      - a\nenforcement:\n  x: audit\n"), &outer{})
	if errs != nil {
		t.Fatal(errs)
	}
	want := strict.Lines{"version": 1, "list": 2, "list[0]": 3, "list[0].limit": 3, "list[1]": 4,
		"list[1].names": 4, "list[1].names[0]": 5, "enforcement": 6, "enforcement.x": 7}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("version: 1\ninner: {names: [a], limit: 3, wait: 500ms}\n"))
	f.Add([]byte("? [a]\n: {<<: *b}\n"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		var v outer
		strict.Decode(data, &v) // must not panic
	})
}
