package nri

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLookupsOfOneReview: what is remembered of one path changes nothing about the
// next, in whatever order they come.
func TestLookupsOfOneReview(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"a/b/c", "a/bc", "ab", "other/c"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"a/link": "/other", "a/b/up": "../bc", "l": "/a/b", "a/b/c/loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	paths := []string{
		"/", "/a", "/a/b", "/a/b/c", "/a/bc", "/ab", "/a/link", "/a/link/c", "/a/linked", "/a/b/up", "/a/b/up/x", "/l", "/l/c", "/l/up",
		"/a/none", "/a/none/c", "/a/b/none", "/a/b/c/loop", "/a/./b", "/a/b/", "/other/c", "/other",
	}
	for _, first := range paths {
		for _, second := range paths {
			h := host{root: root, review: &lookups{left: maxComponents}}
			for _, p := range []string{first, second, first} {
				if got, want := h.resolve(p), (host{root: root}).resolve(p); got != want {
					t.Errorf("after %s, %s leads to %s, want %s", first, p, got, want)
				}
			}
		}
	}
}
