package nri_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/adaptation/builtin"
	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
)

// seeds give the fuzzer, and a plain test run, something to start from.
func seeds(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		b := make([]byte, 20+random.IntN(300))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		f.Add(b)
	}
}

// FuzzMergedAdjustment holds a review of a merged adjustment against NRI's spec
// generator.
func FuzzMergedAdjustment(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &dice{b}
		c, a := d.container(), d.adjustment()
		checkMerged(t, c, a)
	})
}

func checkMerged(t *testing.T, c *api.Container, a *api.ContainerAdjustment) {
	t.Helper()
	request := &api.ValidateContainerAdjustmentRequest{Container: c, Adjust: a}
	untouched := proto.CloneOf(request)
	border := &nri.Border{HostRoot: t.TempDir()}
	review := border.Adjustment(request)
	if !proto.Equal(request, untouched) {
		t.Error("the request was modified")
	}
	happened, ok := outcomes(t, c, a)
	if !ok || len(review.Malformed) > 0 {
		return // nothing is applied
	}
	explain(t, happened, review)
	if t.Failed() {
		t.Logf("container %s\nadjust %s", protojson.Format(c), protojson.Format(a))
	}
	checkStrip(t, review)
}

// checkStrip takes out each change by itself and all of them together.
func checkStrip(t *testing.T, review *engine.Review) {
	t.Helper()
	var all []string
	for _, c := range review.Changes {
		if c.Field == engine.Unknown {
			return
		}
		all = append(all, c.ID)
		rest, err := review.Strip(review, []string{c.ID})
		if err != nil {
			if !collateral(c, review.Container) {
				t.Errorf("taking out %s: %v", c.ID, err)
			}
			continue
		}
		if len(rest.Changes) >= len(review.Changes) {
			t.Errorf("taking out %s left %d of %d changes", c.ID, len(rest.Changes), len(review.Changes))
		}
	}
	rest, err := review.Strip(review, all)
	if err != nil {
		if !slices.ContainsFunc(review.Changes, func(c *engine.Change) bool { return collateral(c, review.Container) }) {
			t.Errorf("taking out everything: %v", err)
		}
	} else if len(rest.Changes) > 0 {
		t.Errorf("taking out everything left %s", rest.Changes[0])
	}
}

// collateral says whether a variable changes whatever is asked of it: the generator
// tidies up an environment that it touches. It cannot be kept from that, so that
// taking it out is refused.
func collateral(c *engine.Change, container *api.Container) bool {
	entries := 0
	for _, e := range container.GetEnv() {
		name, _, ok := strings.Cut(e, "=")
		if name == c.Key {
			entries++
			if !ok || name == "" {
				entries = 2
			}
		}
	}
	return c.Field == engine.Env && entries > 1
}

// FuzzReply holds a review of one plugin's own reply against NRI's adaptation
// followed by its spec generator.
func FuzzReply(f *testing.F) {
	seeds(f)
	plugin := newReplier(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &dice{b}
		c, a := d.container(), d.adjustment()
		checkReply(t, plugin, c, a)
	})
}

func checkReply(t *testing.T, plugin *replier, c *api.Container, a *api.ContainerAdjustment) {
	t.Helper()
	border := &nri.Border{HostRoot: t.TempDir()}
	self := engine.Plugin{Name: "replier", Index: "10"}
	untouched := proto.CloneOf(a)
	review := border.Reply(nri.Reply{Plugin: self, Container: c, Pristine: c, Adjust: a})
	if !proto.Equal(a, untouched) {
		t.Error("the reply was modified")
	}
	merged, err := plugin.merge(t, c, a)
	if len(review.Malformed) > 0 {
		return
	}
	if err != nil {
		if strings.Contains(err.Error(), "both tried to set") {
			t.Errorf("NRI refuses what the review does not call malformed: %v", err)
		}
		return
	}
	happened, ok := outcomes(t, c, merged)
	if !ok {
		return
	}
	explain(t, happened, review)
	if t.Failed() {
		t.Logf("container %s\nadjust %s\nmerged %s", protojson.Format(c), protojson.Format(a), protojson.Format(merged))
	}
	checkStrip(t, review)
}

// replier is a plugin inside of an adaptation that answers what it is told.
type replier struct {
	adaptation *adaptation.Adaptation
	answer     *api.ContainerAdjustment
}

func newReplier(t testing.TB) *replier {
	p := &replier{}
	plugin := &builtin.BuiltinPlugin{Base: "replier", Index: "10", Handlers: builtin.BuiltinHandlers{
		CreateContainer: func(context.Context, *api.CreateContainerRequest) (*api.CreateContainerResponse, error) {
			return &api.CreateContainerResponse{Adjust: p.answer}, nil
		},
	}}
	sync := func(ctx context.Context, cb adaptation.SyncCB) error { _, err := cb(ctx, nil, nil); return err }
	update := func(context.Context, []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) { return nil, nil }
	a, err := adaptation.New("oracle", "0", sync, update, adaptation.WithBuiltinPlugins(plugin),
		adaptation.WithDisabledExternalConnections(), adaptation.WithPluginPath(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Stop)
	p.adaptation = a
	return p
}

// merge lets NRI merge the reply. NRI panics at some messages that are malformed.
func (p *replier) merge(t *testing.T, c *api.Container, a *api.ContainerAdjustment) (merged *api.ContainerAdjustment, err error) {
	t.Helper()
	p.answer = proto.CloneOf(a)
	rpl, err := p.adaptation.CreateContainer(context.Background(),
		&api.CreateContainerRequest{Pod: &api.PodSandbox{Id: "p1"}, Container: proto.CloneOf(c)})
	if err != nil {
		return nil, err
	}
	return rpl.GetAdjust(), nil
}
