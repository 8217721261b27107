package proxy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"

	"github.com/nri-guard/nri-guard/engine"
)

func TestRepliesAreJudged(t *testing.T) {
	for _, tt := range []struct {
		name  string
		judge func(*engine.Review) []engine.Violation
		env   []string
		err   string
	}{
		{name: "let through", env: []string{"A=1"}},
		{name: "stripped", judge: objectTo(engine.Env, engine.Strip)},
		{name: "denied", judge: objectTo(engine.Env, engine.Deny), err: `nri-guard denied CreateContainer: no_env: may not add env A (plugin 10-setter, env A)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.judge)
			connect(t, r.socket, "10", "setter", setting("A", "1"))
			rpl, err := r.runtime.create("c")
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v does not say %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var env []string
			for _, e := range rpl.GetAdjust().GetEnv() {
				env = append(env, e.ToOCI())
			}
			if strings.Join(env, " ") != strings.Join(tt.env, " ") {
				t.Errorf("variables %v, want %v", env, tt.env)
			}
			if rpl.GetAdjust().GetAnnotations()["by.A"] != "1" {
				t.Errorf("the annotation is lost: %v", rpl.GetAdjust())
			}
			made := r.decisions.of(engine.CreateContainer)
			if len(made) != 1 || made[0].review.Plugin.Name != "setter" || made[0].review.Plugin.Identity == nil {
				t.Errorf("the decision is not about the plugin: %+v", made)
			}
		})
	}
}

// A policy that does not come back costs the request, not the plugin: NRI has its
// answer before it loses patience.
func TestLateDecisions(t *testing.T) {
	const wait = 4 * time.Second
	adaptation.SetPluginRequestTimeout(wait)
	defer adaptation.SetPluginRequestTimeout(patience)
	hung := make(chan struct{})
	r := newRig(t, func(r *engine.Review) []engine.Violation {
		if r.Operation == engine.CreateContainer {
			<-hung
		}
		return nil
	})
	connect(t, r.socket, "10", "setter", setting("A", "1"))
	_, err := r.runtime.create("c")
	if want := "the decision was not made in time: the runtime waits no longer than 4s"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v does not say %q", err, want)
	}
	close(hung)
	if rpl, err := r.runtime.create("d"); err != nil || len(rpl.GetAdjust().GetEnv()) != 1 {
		t.Errorf("afterwards: %v, error %v", rpl, err)
	}
}
