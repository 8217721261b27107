package nritest

import (
	"bytes"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

// Eventually waits for something that happens on another goroutine.
func Eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("it never came to pass that %s", what)
}

// NoLeaks demands at the end of the test, when all that is cleaned up after this
// call has been, that no goroutine is left over which has to do with NRI. It is
// not for tests that run beside others.
func NoLeaks(t testing.TB) {
	t.Helper()
	t.Cleanup(func() {
		for end := time.Now().Add(Patience); ; time.Sleep(5 * time.Millisecond) {
			left := goroutines()
			if len(left) == 0 {
				return
			}
			if time.Now().After(end) {
				t.Errorf("goroutines are left over:\n%s", strings.Join(left, "\n\n"))
				return
			}
		}
	})
}

// goroutines returns those that have to do with NRI.
func goroutines() []string {
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 2); err != nil {
		return []string{err.Error()}
	}
	var list []string
	for _, g := range strings.Split(b.String(), "\n\n") {
		if strings.Contains(g, "testing.tRunner(") || strings.Contains(g, "testing.(*M).Run(") {
			continue
		}
		if strings.Contains(g, "nri/pkg/") || strings.Contains(g, "containerd/ttrpc") || strings.Contains(g, "nri-guard/engine/nri") {
			list = append(list, g)
		}
	}
	return list
}

// MustSay demands an error with the words.
func MustSay(t testing.TB, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error; want one that says %q", words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}
