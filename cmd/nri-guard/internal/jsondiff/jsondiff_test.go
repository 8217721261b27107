package jsondiff_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/jsondiff"
)

func TestDiff(t *testing.T) {
	tests := []struct{ before, after, want string }{
		{`{"a": 1}`, `{"a": 1}`, ""},
		{`{"a": 1}`, `{"a": 2}`, "- a 1\n+ a 2"},
		{`{}`, `{"a": {"b": {"c.d/e": "<f>"}}}`, `+ a.b["c.d/e"] "<f>"`},
		{`{"a": {"b": 1, "c": [1, 2]}}`, `{}`, "- a.b 1\n- a.c 1\n- a.c 2"},
		{`{"env": ["A=1", "B=2", "B=2"]}`, `{"env": ["B=2", "C=3", "A=1", "B=3"]}`, "- env \"B=2\"\n+ env \"C=3\"\n+ env \"B=3\""},
		{`{"a": [1]}`, `{"a": {"b": true}}`, "- a 1\n+ a.b true"},
		{`{"n": 18446744073709551615}`, `{"n": 18446744073709551614}`, "- n 18446744073709551615\n+ n 18446744073709551614"},
	}
	for _, tt := range tests {
		lines, err := jsondiff.Diff(json.RawMessage(tt.before), json.RawMessage(tt.after))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range lines {
			got = append(got, l.Op+" "+l.Path+" "+string(l.Value))
		}
		if diff := cmp.Diff(tt.want, strings.Join(got, "\n")); diff != "" {
			t.Errorf("%s -> %s: %s", tt.before, tt.after, diff)
		}
	}
}
