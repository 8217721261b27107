package meter

import (
	"os"
	"path/filepath"
	"testing"
)

// TestHeight holds the table of what instructions do to the operand stack against the modules of the specification: in a valid function it
// has to work out at each end that is reached.
func TestHeight(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(specDir(t), "v2", "testdata", "*.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	ends := 0
	for _, path := range validModules(t, paths) {
		module, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Check(module, wide)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
			continue
		}
		for _, fn := range m.functions {
			var in instruction
			for c := m.walk(fn); c.next(&in); {
				if in.op != opEnd || c.closed.dead {
					continue
				}
				ends++
				if got, want := c.closed.height, c.closed.base+c.closed.results; got != want {
					t.Errorf("%s: function %d, offset %#x: height %d, expected %d", filepath.Base(path), fn.index, in.start, got, want)
				}
			}
		}
	}
	if ends < 1000 {
		t.Errorf("only %d ends were reached", ends)
	}
}
