package wasm

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/nri-guard/nri-guard/engine/policy/wasm/internal/meter"
)

// What toolchains make of the examples is admitted with a fifth of each limit to
// spare: by C, Rust and AssemblyScript, and by Go. With its library for JSON a module in
// Go costs all but a fiftieth of what two seconds are enough for.
func TestHeadroom(t *testing.T) {
	l := meter.DefaultLimits()
	for i, v := 0, reflect.ValueOf(&l).Elem(); i < v.NumField(); i++ {
		v.Field(i).SetInt(v.Field(i).Int() * 4 / 5)
	}
	l.MemoryPages = DefaultMemoryPages
	files := map[string]string{"command": filepath.Join(t.TempDir(), "command.wasm")}
	build := exec.Command("go", "build", "-o", files["command"], "./"+examples+"/command")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, language := range languages {
		files[language] = exampleFile(t, language)
	}
	for name, file := range files {
		module, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		l := l
		if name == "command" {
			l.CompileCost = meter.DefaultLimits().CompileCost * 49 / 50
		}
		if _, err := meter.Check(module, l); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
