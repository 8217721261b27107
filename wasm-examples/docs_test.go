package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/nri-guard/nri-guard/engine/policy/wasm"
)

var documents = []string{"../docs/wasm.md", "README.md", "c/README.md", "rust/README.md", "assemblyscript/README.md", "go/README.md", "command/README.md"}

// TestDocumentedCommands runs each command of the documents that is shown with what it
// prints, and compares.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	nriGuard(t, dir)
	tree(t, filepath.Join(dir, "wasm-examples"))
	for _, document := range documents {
		for _, c := range commands(read(t, document)) {
			command := exec.Command("sh", "-c", c.line)
			command.Dir = dir
			command.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
			out, _ := command.CombinedOutput() // a denial is an exit code too
			if diff := gocmp.Diff(withoutFigures(c.output), withoutFigures(string(out))); diff != "" {
				t.Errorf("%s: %s (-document +command)\n%s", document, c.line, diff)
			}
		}
	}
}

// nriGuard builds the program.
func nriGuard(t *testing.T, dir string) {
	t.Helper()
	if out, err := exec.Command("go", "build", "-o", dir, "../cmd/nri-guard").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// tree lays out the examples as make wasm leaves them.
func tree(t *testing.T, dir string) {
	t.Helper()
	for _, file := range []string{"request.json", "command/config.yaml"} {
		write(t, filepath.Join(dir, file), read(t, file))
	}
	for _, language := range []string{"c", "rust", "assemblyscript", "go", "command"} {
		write(t, filepath.Join(dir, language, "mounts_and_secrets.wasm"), read(t, module(t, language)))
	}
}

type command struct{ line, output string }

var console = regexp.MustCompile("(?s)```console\n(.*?)```")

func commands(document string) (list []command) {
	for _, block := range console.FindAllStringSubmatch(document, -1) {
		for _, c := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			line, output, _ := strings.Cut(c, "\n")
			list = append(list, command{line, strings.TrimSuffix(output, "\n")})
		}
	}
	return list
}

// figures change with the guard's weights of instructions, not with the examples.
var figures = regexp.MustCompile(`"fuel":\d+|"revision":"[0-9a-f]+"`)

func withoutFigures(s string) string {
	return strings.TrimSuffix(figures.ReplaceAllString(s, "..."), "\n")
}

// TestDocumentedLimits holds the tables of docs/wasm.md against the configuration.
func TestDocumentedLimits(t *testing.T) {
	document := read(t, "../docs/wasm.md")
	byDefault := regexp.MustCompile(`(\d+) unless given`)
	for _, config := range []any{wasm.Config{}, wasm.Limits{}} {
		for field := range fields(config) {
			key := field.Tag.Get("yaml")
			if key == "-" || key == "limits" {
				continue
			}
			row := regexp.MustCompile("(?m)^\\| `" + key + "` \\| .* \\| (.*) \\|$").FindStringSubmatch(document)
			if row == nil {
				t.Errorf("key %s is not in a table", key)
				continue
			}
			if want := byDefault.FindStringSubmatch(field.Tag.Get("doc")); want != nil && row[1] != want[1] {
				t.Errorf("key %s: the document says %s unless given, and it is %s", key, row[1], want[1])
			}
		}
	}
}

func fields(of any) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range reflect.TypeOf(of).NumField() {
			if !yield(reflect.TypeOf(of).Field(i)) {
				return
			}
		}
	}
}

// TestDocumentedGuest builds the validator that docs/wasm.md shows as somebody would
// who has a module of their own.
func TestDocumentedGuest(t *testing.T) {
	t.Parallel()
	_, source, _ := strings.Cut(read(t, "../docs/wasm.md"), "```go\n")
	source, _, ok := strings.Cut(source, "```")
	if !ok {
		t.Fatal("docs/wasm.md shows no Go")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.go"), source)
	write(t, filepath.Join(dir, "go.mod"), "module example.com/judge\n\ngo 1.26\n\n"+
		"require github.com/nri-guard/nri-guard v0.0.0\n\nreplace github.com/nri-guard/nri-guard => "+root+"\n")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", "judge.wasm", ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestBuilds runs what the READMEs say to build each module, and compares. It needs the
// compilers, which .ci/run wasm installs. Modules of Go depend on the Go that made them:
// those have to load, and judge.
func TestBuilds(t *testing.T) {
	if os.Getenv("BUILD_EXAMPLES") == "" {
		t.Skip("the compilers are needed: run .ci/run wasm, or set BUILD_EXAMPLES=1")
	}
	for _, language := range []string{"go", "command"} {
		documentedBuild(t, language, language)
		agrees(t, load(t, wasm.Config{Path: filepath.Join(language, "mounts_and_secrets.wasm"), Fuel: wasm.MaxFuel}), language == "command")
	}
	for language, source := range map[string]string{
		"c": "mounts_and_secrets.c", "rust": "mounts_and_secrets.rs", "assemblyscript": "mounts_and_secrets.ts",
	} {
		dir := t.TempDir()
		files := []string{source}
		if language == "assemblyscript" {
			files = append(files, "package.json", "package-lock.json")
		}
		for _, file := range files {
			write(t, filepath.Join(dir, file), read(t, filepath.Join(language, file)))
		}
		documentedBuild(t, language, dir)
		if read(t, filepath.Join(dir, "mounts_and_secrets.wasm")) != read(t, module(t, language)) {
			t.Errorf("%s: README.md builds another module than build.sh", language)
		}
	}
}

// documentedBuild runs in a directory what a README says first.
func documentedBuild(t *testing.T, language, dir string) {
	t.Helper()
	_, block, _ := strings.Cut(read(t, filepath.Join(language, "README.md")), "```sh\n")
	block, _, _ = strings.Cut(block, "```")
	build := exec.Command("sh", "-ec", block)
	build.Dir = dir
	if language == "rust" {
		build.Env = append(os.Environ(), "PATH=/usr/bin:"+os.Getenv("PATH")) // Debian's, of several
	}
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", language, err, out)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
