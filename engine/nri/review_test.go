package nri_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
)

var update = flag.Bool("update", false, "rewrite what the cases expect")

// TestReviews runs the cases in testdata/review: a request as protobuf JSON, the
// links that the host has, and the changes and complaints that come of it.
func TestReviews(t *testing.T) {
	files, err := filepath.Glob("testdata/review/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { runCase(t, file) })
	}
}

func runCase(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	border := &nri.Border{HostRoot: t.TempDir(), Self: []engine.Plugin{{Name: "nri-guard", Index: "99"}}, Lookup: seen}
	var review *engine.Review
	for i, part := range archive.Files {
		var got string
		switch part.Name {
		case "host":
			makeHost(t, border.HostRoot, part.Data)
			continue
		case "adjustment.json":
			req := &api.ValidateContainerAdjustmentRequest{}
			decode(t, part.Data, req)
			review = border.Adjustment(req)
			continue
		case "reply.json", "first-reply.json":
			review = reply(t, border, part)
			continue
		case "update.json":
			review = updates(t, border, part.Data)
			continue
		case "changes":
			got = renderChanges(review)
		case "malformed":
			got = strings.Join(append(review.Malformed, ""), "\n")
		default:
			t.Fatalf("unknown section %q", part.Name)
		}
		if *update {
			archive.Files[i].Data = []byte(got)
			continue
		}
		if diff := cmp.Diff(string(part.Data), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", part.Name, diff)
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// reply reviews the adjustment of a request as the reply of its first plugin. In a
// first reply the container is known to be pristine.
func reply(t *testing.T, border *nri.Border, part txtar.File) *engine.Review {
	req := &api.ValidateContainerAdjustmentRequest{}
	decode(t, part.Data, req)
	r := nri.Reply{Pod: req.Pod, Container: req.Container, Adjust: req.Adjust, Update: req.Update}
	r.Plugin = engine.Plugin{Name: req.Plugins[0].Name, Index: req.Plugins[0].Index}
	if part.Name == "first-reply.json" {
		r.Pristine = req.Container
	}
	return border.Reply(r)
}

// updates reviews the updates in the reply to an update request. The request's own
// resources are those of the first update, which is left out of the reply.
func updates(t *testing.T, border *nri.Border, data []byte) *engine.Review {
	var parts struct{ Request, Reply json.RawMessage }
	if err := json.Unmarshal(data, &parts); err != nil {
		t.Fatal(err)
	}
	req, rpl := &api.UpdateContainerRequest{}, &api.UpdateContainerResponse{}
	decode(t, parts.Request, req)
	decode(t, parts.Reply, rpl)
	return border.Updates(nri.Updates{Operation: engine.UpdateContainer, Pod: req.Pod, Container: req.Container,
		Requested: req.LinuxResources, Update: rpl.Update, Evict: rpl.Evict})
}

func decode(t *testing.T, data []byte, m proto.Message) {
	t.Helper()
	if err := protojson.Unmarshal(data, m); err != nil {
		t.Fatal(err)
	}
}

// seen knows one container besides those in the requests.
func seen(id string) (*api.PodSandbox, *api.Container) {
	if id != "other" {
		return nil, nil
	}
	return &api.PodSandbox{Id: "p2", Namespace: "elsewhere"}, &api.Container{Id: id, PodSandboxId: "p2", Linux: &api.LinuxContainer{
		Resources: &api.LinuxResources{Cpu: &api.LinuxCPU{Shares: api.UInt64(uint64(512))}},
	}}
}

// makeHost makes directories, one to a line, and links, written PATH -> TARGET.
func makeHost(t *testing.T, root string, data []byte) {
	t.Helper()
	for line := range strings.Lines(string(data)) {
		name, target, isLink := strings.Cut(strings.TrimSpace(line), " -> ")
		path := filepath.Join(root, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil && isLink {
			err = os.Symlink(target, path)
		} else if err == nil {
			err = os.MkdirAll(path, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// renderChanges writes a line for each change: id, op, value, and what else there is.
func renderChanges(r *engine.Review) string {
	var b strings.Builder
	for _, c := range r.Changes {
		fmt.Fprintf(&b, "%s %s", c.Op, c.ID)
		if c.Value != nil {
			fmt.Fprintf(&b, " %s", render(c.Value))
		}
		if c.Old != nil {
			fmt.Fprintf(&b, " was %s", render(c.Old))
		}
		if len(c.Owners) > 0 {
			fmt.Fprintf(&b, " by %v", c.Owners)
		} else if c.Plugin != (engine.Plugin{}) {
			fmt.Fprintf(&b, " by %s alone", c.Plugin)
		}
		if ns := c.Pod.GetNamespace(); ns != "" && ns != r.Pod.GetNamespace() {
			fmt.Fprintf(&b, " in %s", ns)
		}
		b.WriteString("\n")
	}
	return b.String()
}
