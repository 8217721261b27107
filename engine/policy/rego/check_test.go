package rego_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/nri-guard/nri-guard/engine/policy/rego"
)

// each runs f for each archive in a directory of testdata, and compares what it
// returns with the archive's file want.
func each(t *testing.T, dir string, f func(t *testing.T, archive *txtar.Archive) string) {
	t.Helper()
	for _, file := range archives(t, dir) {
		t.Run(file[strings.LastIndex(file, "/")+1:], func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, file, archive, f(t, archive))
		})
	}
}

// setting returns what stands behind a key in the comment of an archive, and whether
// it is there.
func setting(archive *txtar.Archive, key string) (string, bool) {
	for line := range strings.Lines(string(archive.Comment)) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

func TestCheck(t *testing.T) {
	each(t, "check", func(t *testing.T, archive *txtar.Archive) string {
		var b strings.Builder
		report := rego.Check(t.Context(), unpack(t, archive))
		for _, p := range report.Errors {
			fmt.Fprintln(&b, p)
		}
		for _, p := range report.Warnings {
			fmt.Fprintln(&b, "warning:", p)
		}
		for _, p := range report.Policies {
			fmt.Fprintf(&b, "%+v\n", p)
		}
		return b.String()
	})
}

func TestTest(t *testing.T) {
	each(t, "unit", func(t *testing.T, archive *txtar.Archive) string {
		o := rego.TestOptions{Timeout: 500 * time.Millisecond}
		o.Run, _ = setting(archive, "run")
		_, o.Coverage = setting(archive, "coverage")
		report, err := rego.Test(t.Context(), unpack(t, archive), o)
		if err != nil {
			return err.Error() + "\n"
		}
		var b strings.Builder
		for _, r := range report.Tests {
			fmt.Fprintf(&b, "%s:%d: %s %s %q %q %q\n", r.File, r.Line, r.Outcome, r.Name, r.Failed, r.Error, r.Output)
		}
		if report.Coverage != nil {
			fmt.Fprintf(&b, "%+v\n", *report.Coverage)
		}
		fmt.Fprintln(&b, "passed:", report.Passed())
		return b.String()
	})
}
