package proxy_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri/proxy"
)

// revised are policies with a revision.
type revised struct {
	testPolicies
	revision string
}

func (p revised) Revision() string { return p.revision }

// Demands and rules are replaced together: no decision is made by what is demanded in
// one configuration and the rules of the other, which would let in whom neither wants.
func TestReplacedTogether(t *testing.T) {
	var made decisions
	strangers := func(*engine.Review) []engine.Violation { return []engine.Violation{{Policy: "no_strangers"}} }
	configurations := []struct {
		plugins []proxy.Plugin
		rules   engine.Rules
	}{
		{[]proxy.Plugin{{Name: "stranger", Identity: &engine.IdentityMatch{Exe: self(t)}}},
			engine.Rules{Policies: revised{testPolicies{strangers}, "policy"}, Recorder: &made, Timeout: patience}},
		{[]proxy.Plugin{{Name: "stranger", Identity: &engine.IdentityMatch{Exe: "/opt/stranger"}}},
			engine.Rules{Policies: revised{testPolicies{}, "identity"}, Recorder: &made, Timeout: patience}},
	}
	r := newRig(t, nil)
	swap := func(i int) {
		c := configurations[i%len(configurations)]
		if err := r.proxy.Swap(c.plugins, c.rules); err != nil {
			t.Error(err)
		}
	}
	swap(0)
	ctx, cancel := context.WithCancel(context.Background())
	var swapping, asking sync.WaitGroup
	swapping.Go(func() {
		for i := 1; ctx.Err() == nil; i++ {
			swap(i)
		}
	})
	for range 3 {
		asking.Go(func() {
			for range 40 {
				if p := dialRaw(t, r.socket); p.letIn("stranger") {
					t.Error("the stranger is let in")
				} else {
					_ = p.conn.Close()
				}
			}
		})
	}
	asking.Wait()
	cancel()
	swapping.Wait()

	count := map[string]int{}
	for _, d := range made.of(engine.RegisterPlugin) {
		count[d.decision.Revision]++
		reasons := strings.Join(d.decision.Reasons(), "\n")
		if byPolicy := strings.Contains(reasons, "no_strangers"); byPolicy != (d.decision.Revision == "policy") {
			t.Errorf("revision %s denies because: %s", d.decision.Revision, reasons)
		}
	}
	if count["policy"] == 0 || count["identity"] == 0 {
		t.Errorf("decisions by revision: %v", count)
	}
}

// letIn registers, and says whether the answer was yes: it may be none.
func (p *rawPlugin) letIn(name string) bool {
	m := p.request("RegisterPlugin", &api.RegisterPluginRequest{PluginName: name, PluginIdx: "10"})
	p.send(m)
	for {
		got, err := p.r.Read()
		switch {
		case err != nil:
			return false
		case got.Conn == m.Conn && got.Stream == m.Stream:
			return errorOf(p.t, got) == ""
		}
	}
}

func TestReplacedByNonsense(t *testing.T) {
	r := newRig(t, nil)
	before := r.engine.Rules().Policies
	err := r.proxy.Swap([]proxy.Plugin{{Name: "p", Events: []string{"Nonsense"}}}, engine.Rules{})
	if err == nil || r.engine.Rules().Policies.Revision() != before.Revision() {
		t.Errorf("error %v, and the rules are %v", err, r.engine.Rules().Policies)
	}
}
