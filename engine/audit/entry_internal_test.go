package audit

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/document"
	"github.com/nri-guard/nri-guard/engine/internal/reviewtest"
)

// TestLine: a line that is put together from its parts is what encoding/json makes of
// the whole, byte for byte.
func TestLine(t *testing.T) {
	type whole struct {
		head
		Input json.RawMessage `json:"input"`
		tail
	}
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	reviews := []*engine.Review{reviewtest.Reference(), reviewtest.Rich()}
	for range 200 {
		reviews = append(reviews, reviewtest.Random(rng))
	}
	for _, c := range []Config{
		{},
		{Labels: map[string]string{"node": "a<b>&\u2028\"", "": "}\n"}, Unmask: []string{"*"}},
	} {
		for i, r := range reviews {
			d := &engine.Decision{ID: "id", Time: time.Unix(int64(i), 1).UTC(), Revision: `"}`, Stripped: r.Changes,
				Violations: []engine.Violation{{Policy: "p", Message: "<&> \u2029 \x00"}}, Duration: time.Second}
			got, err := c.line(r, d)
			if err != nil {
				t.Fatal(err)
			}
			input, err := document.Marshal(r, document.Options{Mask: true, Unmask: c.Unmask})
			if err != nil {
				t.Fatal(err)
			}
			result, err := NewResult(d, c.Unmask)
			if err != nil {
				t.Fatal(err)
			}
			w := whole{head{c.Labels, d.ID, d.Time, d.Revision}, input, c.tail(r, d, result)}
			if w.Labels == nil {
				w.Labels = map[string]string{}
			}
			var want bytes.Buffer
			encoder := json.NewEncoder(&want)
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(w); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want.Bytes()) {
				t.Fatalf("review %d is written as\n%s\nwant\n%s", i, got, want.Bytes())
			}
		}
	}
}
