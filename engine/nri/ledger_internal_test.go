package nri

import (
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
)

func TestLedgerForgetsInTime(t *testing.T) {
	now := time.Now()
	l := NewLedger()
	l.now = func() time.Time { return now }
	p := engine.Plugin{Index: "10", Name: "p"}
	m := l.Join(p)
	change := &engine.Change{Op: engine.Add, Field: engine.Env, Key: "A", Value: "1", Container: "c"}
	review := &engine.Review{Container: &api.Container{Id: "c"}, Plugins: []engine.Plugin{p}, Changes: []*engine.Change{change}}

	m.Approve(review)
	now = now.Add(creationKept)
	if got := l.Explain(review); len(got) != 0 {
		t.Errorf("not explained in time: %q", got)
	}
	m.Approve(review)
	now = now.Add(creationKept + 1)
	if got := l.Explain(review); len(got) != 1 {
		t.Errorf("explained too late: %q", got)
	}

	none := &engine.Review{Container: &api.Container{Id: "d"}, Plugins: []engine.Plugin{p}}
	m.Leave()
	now = now.Add(departedKept)
	if got := l.Explain(none); len(got) != 0 {
		t.Errorf("it has just left: %q", got)
	}
	now = now.Add(1)
	if got := l.Explain(none); len(got) != 1 {
		t.Errorf("it has long left: %q", got)
	}
	if len(l.creations)+len(l.members) != 0 {
		t.Error("something is kept forever")
	}
}
