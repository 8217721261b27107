package tests

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
	"github.com/nri-guard/nri-guard/engine/policy"
)

const example = "../docs/examples/payments_mounts"

// TestExamplePolicy loads the policy that docs/policies.md shows, beside the
// library, and judges by it.
func TestExamplePolicy(t *testing.T) {
	set, err := policy.Load(context.Background(), policy.Config{Policy: policy.Policies{Paths: []string{example}}})
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(set.Rules())
	for namespace, want := range map[string][]string{
		"payments-eu": {"payments_mounts: pods of payments-eu get no mounts from plugins: /cache (plugin 10-cache, mount /cache)"},
		"shop":        nil,
	} {
		d := e.Decide(context.Background(), (&nri.Border{HostRoot: t.TempDir()}).Adjustment(&api.ValidateContainerAdjustmentRequest{
			Pod:       &api.PodSandbox{Namespace: namespace},
			Container: &api.Container{Id: "c0ffee"},
			Adjust: &api.ContainerAdjustment{Mounts: []*api.Mount{
				{Destination: "/cache", Type: "tmpfs", Source: "tmpfs"},
			}},
			Plugins: []*api.PluginInstance{{Index: "10", Name: "cache"}},
		}))
		if diff := cmp.Diff(want, d.Reasons()); diff != "" || d.Allowed != (want == nil) {
			t.Errorf("%s: allowed %v, reasons (-want +got):\n%s", namespace, d.Allowed, diff)
		}
	}
}

// TestPoliciesDocument checks that docs/policies.md shows the example as it is
// and has a line for each policy of the library.
func TestPoliciesDocument(t *testing.T) {
	doc := read(t, "../docs/policies.md")
	if !strings.Contains(doc, "```rego\n"+read(t, filepath.Join(example, "payments_mounts.rego"))+"```") {
		t.Error("the example is not shown as it is")
	}
	set, err := policy.Load(context.Background(), policy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range set.Policies() {
		if !strings.Contains(doc, "\n| `"+p.Name+"` | ") {
			t.Errorf("policy %s is not described", p.Name)
		}
	}
}

// TestGrantsDocument checks that docs/grants.md has a line for each field.
func TestGrantsDocument(t *testing.T) {
	doc := read(t, "../docs/grants.md")
	for _, f := range engine.Fields() {
		if !strings.Contains(doc, "\n| `"+string(f.Field)+"` | ") {
			t.Errorf("field %s is not described", f.Field)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
