package wasm

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
)

// What is valid is what the interpreter's compiler takes, which goes on where validate
// ends: for each module of the specification's tests, the invalid ones included.
func TestValidate(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest", "v2", "testdata", "*.wasm"))
	if err != nil || len(files) < 1_000 {
		t.Skipf("this copy of wazero carries %d modules of the specification's tests: %v", len(files), err)
	}
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features).WithDebugInfoEnabled(false))
	defer r.Close(ctx) //nolint:errcheck // nothing of it can fail
	refused := 0
	for _, file := range files {
		module, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, want := r.CompileModule(ctx, module)
		if got := validate(ctx, module); (got == nil) != (want == nil) || got != nil && got.Error() != want.Error() {
			t.Errorf("%s: %v, compiled: %v", filepath.Base(file), got, want)
		}
		if want != nil {
			refused++
		}
	}
	if refused < 500 || len(files)-refused < 500 {
		t.Errorf("%d of %d are refused", refused, len(files))
	}
}
