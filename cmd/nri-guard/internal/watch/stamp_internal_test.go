package watch

import (
	"os"
	"path/filepath"
	"testing"
)

// TestFollow: links in a circle lead nowhere, least of all to the root.
func TestFollow(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for link, target := range map[string]string{
		"absolute": at("absolute"), "relative": "relative", "there": at("back/x"), "back": at("there"),
		"one": at("two"), "two": "file", "nowhere": "/nowhere/file",
	} {
		if err := os.Symlink(target, at(link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(at("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"absolute": at("absolute"), "absolute/below": at("absolute"), "relative": at("relative"), "there": at("there"),
		"one": at("file"), "file": at("file"), "missing/below": at("missing"), "nowhere": "/nowhere",
	} {
		s := &Stamp{}
		s.Add(at(name))
		if len(s.files) > 10 {
			t.Errorf("%s: %d files are watched", name, len(s.files))
		}
		if got := s.follow(at(name)); got != want {
			t.Errorf("%s leads to %s, want %s", name, got, want)
		}
	}
}
