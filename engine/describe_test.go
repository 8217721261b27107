package engine_test

import (
	"path"
	"testing"

	"github.com/nri-guard/nri-guard/engine"
)

// TestUnmasked: a name is unmasked exactly where one of the patterns matches it.
func TestUnmasked(t *testing.T) {
	names := []string{"", "A", "AB", "B", "*", "?", "[", `\`, "/", "A/B", "é", "èé", "\xff", "\xc3"}
	for _, pattern := range []string{"", "A", "A*", "*", "*B", "?", "?B", "[", "[A", "[AB]", "[^A]*", `\A`, `\`, `\*`, "A[", "é", "é*", "\xff", "\xc3?", "/*"} {
		for _, name := range names {
			want, err := path.Match(pattern, name)
			want = want && err == nil
			if got := engine.Unmasked([]string{pattern}, name); got != want {
				t.Errorf("pattern %q unmasks %q: %v, want %v", pattern, name, got, want)
			}
			if got := engine.Unmasked([]string{"C", pattern, "["}, name); got != want {
				t.Errorf("pattern %q among others unmasks %q: %v, want %v", pattern, name, got, want)
			}
		}
	}
}
