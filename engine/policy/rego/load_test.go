package rego_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/nri-guard/nri-guard/engine/policy/rego"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata")

// TestLoad loads what each archive in testdata/load holds: the directory library
// as the library, the paths on the comment's line "paths:" (policies without one)
// as the user's, or the directory on the line "bundle:", packed. The file want holds
// what went wrong.
func TestLoad(t *testing.T) {
	each(t, "load", func(t *testing.T, archive *txtar.Archive) string {
		_, err := rego.Load(t.Context(), unpack(t, archive))
		var failed *rego.LoadError
		switch {
		case errors.As(err, &failed):
			return failed.Error() + "\n"
		case err != nil:
			t.Fatalf("not a LoadError: %v", err)
		}
		return "ok\n"
	})
}

// archives lists the archives of a directory in testdata.
func archives(t *testing.T, dir string) []string {
	t.Helper()
	cases, err := filepath.Glob("testdata/" + dir + "/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for i := range cases {
		if cases[i], err = filepath.Abs(cases[i]); err != nil {
			t.Fatal(err)
		}
	}
	return cases
}

// unpack writes the archive to a directory, which becomes the working directory
// so that messages have short names.
func unpack(t *testing.T, archive *txtar.Archive) rego.Sources {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := txtar.Write(archive, "."); err != nil {
		t.Fatal(err)
	}
	sources := rego.Sources{Paths: []string{"policies"}}
	if paths, ok := setting(archive, "paths"); ok {
		sources.Paths = strings.Fields(paths)
	}
	if dir, ok := setting(archive, "bundle"); ok {
		pack(t, dir)
		sources.Paths = []string{dir + ".tar.gz"}
	}
	if _, err := os.Stat("library"); err == nil { // exists only where a case needs it
		sources.Library = os.DirFS("library")
	}
	return sources
}

// pack makes a bundle of a directory.
func pack(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(dir + ".tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	zipped := gzip.NewWriter(f)
	w := tar.NewWriter(zipped)
	for _, err := range []error{w.AddFS(os.DirFS(dir)), w.Close(), zipped.Close(), f.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func compare(t *testing.T, file string, archive *txtar.Archive, got string) {
	t.Helper()
	last := &archive.Files[len(archive.Files)-1]
	if last.Name != "want" {
		t.Fatal("the last file must be want")
	}
	if *update {
		last.Data = []byte(got)
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(last.Data), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
