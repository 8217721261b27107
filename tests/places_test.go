package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
	"github.com/nri-guard/nri-guard/engine/policy"
	"github.com/nri-guard/nri-guard/policies"
)

// TestPlacesThatAreLinks moves each place that host_paths guards elsewhere and leaves
// a link behind. A mount of what it leads to, of something below, or of what holds
// it is denied all the same.
func TestPlacesThatAreLinks(t *testing.T) {
	text, err := policies.FS.ReadFile("host_paths/host_paths.rego")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^\t"(/.+)/": "`).FindAllStringSubmatch(string(text), -1)
	if len(found) < 30 {
		t.Fatalf("found %d places only", len(found))
	}
	set, err := policy.Load(t.Context(), policy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	guard := engine.New(set.Rules())
	for _, f := range found {
		place := f[1]
		root := t.TempDir()
		for _, dir := range []string{filepath.Dir(place), "/data/moved/below"} {
			if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("/data/moved", filepath.Join(root, place)); err != nil {
			t.Fatal(err)
		}
		for _, source := range []string{place, place + "/below", "/data/moved", "/data/moved/below", "/data"} {
			border := &nri.Border{HostRoot: root}
			d := guard.Decide(t.Context(), border.Adjustment(&api.ValidateContainerAdjustmentRequest{
				Container: &api.Container{Id: "c1"},
				Adjust: &api.ContainerAdjustment{Mounts: []*api.Mount{
					{Destination: "/mnt", Type: "bind", Source: source, Options: []string{"ro"}}}},
			}))
			if !slices.ContainsFunc(d.Violations, func(v engine.Violation) bool { return v.Policy == "host_paths" }) {
				t.Errorf("%s is a link to /data/moved, and %s is let through: %s", place, source, strings.Join(d.Reasons(), "; "))
			}
		}
	}
}
