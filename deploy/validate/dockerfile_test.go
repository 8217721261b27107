package validate

import (
	"bytes"
	"os"
	"os/exec"
	"path"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// TestDockerfile parses the Dockerfile as BuildKit does, with all its warnings, and holds what
// is promised of the image.
func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range file.Warnings {
		t.Errorf("%s: %v", w.Short, w.Detail)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, description, url, message string, _ []parser.Range) {
		t.Errorf("%s: %s", rule, message)
	}})
	stages, _, err := instructions.Parse(file.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	last := stages[len(stages)-1]
	if last.BaseName != "scratch" {
		t.Errorf("the image is made from %s", last.BaseName)
	}
	user := ""
	for _, c := range last.Commands {
		if u, ok := c.(*instructions.UserCommand); ok {
			user = u.User
		}
	}
	if user != "65532:65532" {
		t.Errorf("the image runs as %q", user)
	}
}

// TestDockerignore has the build see all that the program is built from, and no more.
func TestDockerignore(t *testing.T) {
	text, err := os.ReadFile("../Dockerfile.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	patterns, err := ignorefile.ReadAll(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	ignore, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("git", "ls-files")
	command.Dir = "../.."
	files, err := command.Output()
	if err != nil {
		t.Skip("the files of the project are known by git, which says: ", err)
	}
	for _, file := range strings.Fields(string(files)) {
		ignored, err := ignore.MatchesOrParentMatches(file)
		if err != nil {
			t.Fatal(err)
		}
		if ignored == builtFrom(file) {
			t.Errorf("%s: left out of the build: %t", file, ignored)
		}
	}
}

// builtFrom says whether a file is one that the program is built from.
func builtFrom(file string) bool {
	first, _, _ := strings.Cut(file, "/")
	switch {
	case file == "go.mod" || file == "go.sum":
		return true
	case first != "cmd" && first != "engine" && first != "policies":
		return false
	}
	return !strings.Contains(file, "/testdata/") && !strings.HasSuffix(path.Base(file), "_test.go")
}
