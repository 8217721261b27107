package audit_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/audit"
	"github.com/nri-guard/nri-guard/engine/internal/reviewtest"
)

// BenchmarkRecord measures what recording adds to a decision about the reference.
func BenchmarkRecord(b *testing.B) {
	l, err := audit.New(audit.Config{Path: filepath.Join(b.TempDir(), "decisions")})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nothing is lost
	r := reviewtest.Reference()
	d := &engine.Decision{ID: "0", Allowed: true, Time: time.Unix(0, 0), Revision: "r"}
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Record(b.Context(), r, d); err != nil {
			b.Fatal(err)
		}
	}
}
