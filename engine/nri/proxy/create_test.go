package proxy_test

import (
	"strings"
	"testing"

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
