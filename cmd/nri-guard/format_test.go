package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

// TestPrintJSON: what terminals obey is escaped, and what is read is the same.
func TestPrintJSON(t *testing.T) {
	for text, want := range map[string]string{
		"plain <b> & é 日本":              `"plain <b> & é 日本"`,
		"a\x1b[31mb\tc\nd":              `"a\u001b[31mb\tc\nd"`,
		"\u0085\u009b31m\x7f":           `"\u0085\u009b31m\u007f"`,
		"\u202e\u200b\ufeff\u2028":      `"\u202e\u200b\ufeff\u2028"`,
		"a tag outside: \U000e0041":     `"a tag outside: \udb40\udc41"`,
		"quotes \" and backslashes \\u": `"quotes \" and backslashes \\u"`,
	} {
		var out bytes.Buffer
		if err := printJSON(&out, text); err != nil {
			t.Fatal(err)
		}
		if out.String() != want+"\n" {
			t.Errorf("%q is printed as %s, want %s", text, out.String(), want)
		}
		var back string
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || back != text {
			t.Errorf("%q is read as %q, %v", text, back, err)
		}
	}
}
