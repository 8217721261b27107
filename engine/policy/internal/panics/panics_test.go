package panics_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nri-guard/nri-guard/engine/policy/internal/panics"
)

// Of a panic is told what it said and the innermost place outside the runtime.
func TestError(t *testing.T) {
	for name, c := range map[string]struct {
		panics func()
		want   string
	}{
		"a text":        {func() { panic("boom") }, "panic: boom (panics_test.go:"},
		"an error":      {func() { panic(fmt.Errorf("no %s", "way")) }, "panic: no way (panics_test.go:"},
		"the runtime's": {func() { _ = []int{}[len(name0)] }, "panic: runtime error: index out of range [4] with length 0 (panics_test.go:"},
	} {
		if got := recovered(c.panics); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

const name0 = "name"

func recovered(f func()) (message string) {
	defer func() { message = panics.Error(recover()).Error() }()
	f()
	return ""
}
