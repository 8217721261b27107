package nri_test

import (
	"context"
	"fmt"
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

// trio are three plugins inside of an adaptation that answer what they are told,
// and a validator. What a proxy would see of them is kept.
type trio struct {
	adaptation *adaptation.Adaptation
	answers    [3]*api.ContainerAdjustment
	updates    [3][]*api.ContainerUpdate
	shown      [3]*api.Container
	merged     *api.ValidateContainerAdjustmentRequest
}

var trioNames = [3]engine.Plugin{{Index: "10", Name: "first"}, {Index: "20", Name: "second"}, {Index: "30", Name: "third"}}

var trioGuard = engine.Plugin{Index: "99", Name: "guard"}

func newTrio(t testing.TB) *trio {
	p := &trio{}
	var plugins []*builtin.BuiltinPlugin
	for i, name := range trioNames {
		plugins = append(plugins, &builtin.BuiltinPlugin{Base: name.Name, Index: name.Index, Handlers: builtin.BuiltinHandlers{
			CreateContainer: func(_ context.Context, req *api.CreateContainerRequest) (*api.CreateContainerResponse, error) {
				p.shown[i] = proto.CloneOf(req.GetContainer())
				return &api.CreateContainerResponse{Adjust: proto.CloneOf(p.answers[i]), Update: cloned(p.updates[i])}, nil
			},
		}})
	}
	plugins = append(plugins, &builtin.BuiltinPlugin{Base: trioGuard.Name, Index: trioGuard.Index, Handlers: builtin.BuiltinHandlers{
		ValidateContainerAdjustment: func(_ context.Context, req *api.ValidateContainerAdjustmentRequest) error {
			p.merged = proto.CloneOf(req)
			return nil
		},
	}})
	sync := func(ctx context.Context, cb adaptation.SyncCB) error { _, err := cb(ctx, nil, nil); return err }
	update := func(context.Context, []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) { return nil, nil }
	a, err := adaptation.New("oracle", "0", sync, update, adaptation.WithBuiltinPlugins(plugins...),
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

func cloned(updates []*api.ContainerUpdate) []*api.ContainerUpdate {
	var list []*api.ContainerUpdate
	for _, u := range updates {
		list = append(list, proto.CloneOf(u))
	}
	return list
}

// create has NRI create a container, and returns the reviews that a proxy would
// make of the replies and the one that a validator would make of the whole. It is
// not ok where any of it would be denied for being malformed, or where NRI refuses.
func (p *trio) create(c *api.Container) (replies [3]*engine.Review, merged *engine.Review, ok bool) {
	_, err := p.adaptation.CreateContainer(context.Background(),
		&api.CreateContainerRequest{Pod: &api.PodSandbox{Id: "p1"}, Container: proto.CloneOf(c)})
	if err != nil {
		return replies, nil, false
	}
	border := &nri.Border{Self: []engine.Plugin{trioGuard}, Lookup: func(id string) (*api.PodSandbox, *api.Container) {
		return &api.PodSandbox{Id: "p2"}, &api.Container{Id: id}
	}}
	for i, name := range trioNames {
		replies[i] = border.Reply(nri.Reply{Plugin: name, Container: p.shown[i], Adjust: p.answers[i], Update: p.updates[i]})
		if len(replies[i].Malformed) > 0 {
			return replies, nil, false
		}
	}
	merged = border.Adjustment(p.merged)
	return replies, merged, len(merged.Malformed) == 0
}

// ledgerOf is the ledger of a proxy that let some of the replies through.
func ledgerOf(replies [3]*engine.Review, through ...int) *nri.Ledger {
	l := nri.NewLedger()
	for i, name := range trioNames {
		m := l.Join(name)
		if slices.Contains(through, i) {
			m.Approve(replies[i])
		}
	}
	return l
}

// FuzzLedger holds that what three plugins were let have explains what NRI makes of
// it, and that it does not where one of them was not asked.
func FuzzLedger(f *testing.F) {
	seeds(f)
	p := newTrio(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &dice{b}
		c := d.container()
		for i := range p.answers {
			p.answers[i] = nil
			p.updates[i] = nil
			d.maybe(func() { p.answers[i] = d.adjustment() })
			d.maybe(func() {
				p.updates[i] = []*api.ContainerUpdate{{ContainerId: "other", Linux: &api.LinuxContainerUpdate{Resources: d.resources()}}}
			})
		}
		replies, merged, ok := p.create(c)
		if !ok {
			return
		}
		if got := ledgerOf(replies, 0, 1, 2).Explain(merged); len(got) > 0 {
			t.Errorf("not explained: %q", got)
			t.Logf("container %s", protojson.Format(c))
			for i := range p.answers {
				t.Logf("shown %s\nadjust %s\nreview %v", protojson.Format(p.shown[i]), protojson.Format(p.answers[i]), replies[i].Changes)
			}
			t.Logf("merged %s\nreview %v", protojson.Format(p.merged.GetAdjust()), merged.Changes)
		}
		if got := ledgerOf(replies).Explain(merged); len(merged.Changes) > 0 && len(got) == 0 {
			t.Error("nothing explains everything")
		}
	})
}

// tame rolls an adjustment of a few things that NRI takes, most of the time: each
// thing is left alone, set, removed, or removed and set again.
func (d *dice) tame() *api.ContainerAdjustment {
	a := &api.ContainerAdjustment{}
	value := func() string { return pick(d, []string{"1", "2", "3"}) }
	each := func(keys []string, set, remove func(key string)) {
		for _, k := range keys {
			switch d.roll(6) {
			case 0:
				set(k)
			case 1:
				remove(k)
			case 2, 3:
				remove(k)
				set(k)
			}
		}
	}
	d.maybe(func() { each([]string{"A", "B", "PATH"}, func(k string) { a.AddEnv(k, value()) }, a.RemoveEnv) })
	d.maybe(func() {
		each([]string{"A", "a.b/c"}, func(k string) { a.AddAnnotation(k, value()) }, a.RemoveAnnotation)
	})
	d.maybe(func() {
		each([]string{"/a", "/b", "/a/"}, func(k string) {
			a.AddMount(&api.Mount{Destination: k, Type: pick(d, kinds), Source: pick(d, sources), Options: some(d, 2, func() string { return pick(d, options) })})
		}, a.RemoveMount)
	})
	d.maybe(func() {
		each([]string{"/dev/a", "/dev/b"}, func(k string) {
			a.AddDevice(&api.LinuxDevice{Path: k, Type: "c", Major: int64(d.roll(3)), Minor: 1})
		}, a.RemoveDevice)
	})
	d.maybe(func() {
		each([]string{"net.ipv4.ip_forward", "kernel.shmmax"}, func(k string) { a.SetLinuxSysctl(k, value()) },
			func(k string) { a.SetLinuxSysctl(api.MarkForRemoval(k), "") })
	})
	d.maybe(func() {
		each([]string{"eth0", "eth1"}, func(k string) { a.AddLinuxNetDevice(k, &api.LinuxNetDevice{Name: value()}) }, a.RemoveLinuxNetDevice)
	})
	d.maybe(func() { a.UpdateArgs([]string{value()}) })
	d.maybe(func() {
		a.AddHooks(&api.Hooks{Poststart: some(d, 2, func() *api.Hook { return &api.Hook{Path: "/" + value()} })})
	})
	switch d.roll(6) {
	case 0:
		a.Linux = &api.LinuxContainerAdjustment{Rdt: d.rdt()}
	case 1:
		a.Linux = &api.LinuxContainerAdjustment{Resources: d.resources()}
	case 2:
		a.Rlimits = []*api.POSIXRlimit{{Type: pick(d, limitKind), Hard: 2, Soft: uint64(d.roll(3))}}
	case 3:
		a.Linux = &api.LinuxContainerAdjustment{Namespaces: []*api.LinuxNamespace{{Type: pick(d, []string{"pid", "-network", "network", "uts"}), Path: "/proc/1/ns/x"}}}
	case 4:
		a.Linux = d.linux()
	}
	return a
}

// What plugins are let have explains what NRI makes of it, also where they take
// back what others did.
func TestLedgerExplainsMerges(t *testing.T) {
	p := newTrio(t)
	random := rand.New(rand.NewPCG(3, 4))
	merges, changes := 0, 0
	for range 3000 {
		b := make([]byte, 400)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		d := &dice{b}
		c := d.container()
		for i := range p.answers {
			p.answers[i], p.updates[i] = d.tame(), nil
		}
		replies, merged, ok := p.create(c)
		if !ok {
			continue
		}
		merges++
		changes += len(merged.Changes)
		if got := ledgerOf(replies, 0, 1, 2).Explain(merged); len(got) > 0 {
			t.Errorf("not explained: %q", got)
			t.Logf("container %s", protojson.Format(c))
			for i := range p.answers {
				t.Logf("shown %s\nadjust %s\nreview %v", protojson.Format(p.shown[i]), protojson.Format(p.answers[i]), replies[i].Changes)
			}
			t.Fatalf("merged %s\nreview %v", protojson.Format(p.merged.GetAdjust()), merged.Changes)
		}
		if got := ledgerOf(replies).Explain(merged); len(merged.Changes) > 0 && len(got) == 0 {
			t.Error("nothing explains everything")
		}
	}
	t.Logf("%d merges with %d changes", merges, changes)
	if merges < 300 {
		t.Errorf("only %d merges: the test is not worth much", merges)
	}
}

// adjusted is a review of a reply, or of what NRI made of several.
func adjusted(p engine.Plugin, id string, a *api.ContainerAdjustment) *engine.Review {
	b := &nri.Border{}
	return b.Reply(nri.Reply{Plugin: p, Container: &api.Container{Id: id}, Adjust: a})
}

// whole is a merged adjustment.
func whole(id string, a *api.ContainerAdjustment, consulted ...engine.Plugin) *engine.Review {
	req := &api.ValidateContainerAdjustmentRequest{Container: &api.Container{Id: id}, Adjust: a}
	for _, p := range consulted {
		req.AddPlugin(p.Name, p.Index)
	}
	return (&nri.Border{}).Adjustment(req)
}

func variable(name, value string) *api.ContainerAdjustment {
	a := &api.ContainerAdjustment{}
	a.AddEnv(name, value)
	return a
}

func hooks(paths ...string) *api.ContainerAdjustment {
	a := &api.ContainerAdjustment{}
	for _, p := range paths {
		a.AddHooks(&api.Hooks{Poststop: []*api.Hook{{Path: p}}})
	}
	return a
}

func TestLedgerFindsWhatCamePast(t *testing.T) {
	p, q := engine.Plugin{Index: "10", Name: "p"}, engine.Plugin{Index: "20", Name: "q"}
	builtin := engine.Plugin{Index: "05", Name: "runtime"}
	validator := engine.Plugin{Index: "00", Name: "default-validator"}
	for _, tt := range []struct {
		name    string
		through *api.ContainerAdjustment // by p
		merged  *engine.Review
		want    []string
	}{
		{name: "nothing", merged: whole("c", nil, p, q)},
		{name: "what was let through", through: variable("A", "1"), merged: whole("c", variable("A", "1"), p, q)},
		{name: "less than what was let through", through: variable("A", "1"), merged: whole("c", nil, p)},
		{name: "parts of the runtime", merged: whole("c", nil, validator, builtin, p, q)},
		{name: "another value", through: variable("A", "1"), merged: whole("c", variable("A", "2"), p),
			want: []string{"nothing that the proxy let through explains: add env A (container c)"}},
		{name: "another name", through: variable("A", "1"), merged: whole("c", variable("B", "1"), p),
			want: []string{"nothing that the proxy let through explains: add env B (container c)"}},
		{name: "another container", through: variable("A", "1"), merged: whole("d", variable("A", "1"), p),
			want: []string{"nothing that the proxy let through explains: add env A (container d)"}},
		{name: "the same once more", through: hooks("/a"), merged: whole("c", hooks("/a", "/a"), p),
			want: []string{"nothing that the proxy let through explains: add hook poststop (/a) (container c)"}},
		{name: "in another order", through: hooks("/a", "/b"), merged: whole("c", hooks("/b", "/a"), p)},
		{name: "a plugin that did not come through", through: variable("A", "1"), merged: whole("c", variable("A", "1"), p, engine.Plugin{Index: "10", Name: "x"}),
			want: []string{"plugin 10-x did not come through the proxy"}},
		{name: "a second one of a name", through: variable("A", "1"), merged: whole("c", variable("A", "1"), p, p),
			want: []string{"plugin 10-p did not come through the proxy"}},
		{name: "a name with another index", merged: whole("c", nil, engine.Plugin{Index: "11", Name: "p"}),
			want: []string{"plugin 11-p did not come through the proxy"}},
		{name: "three of a name that there is once", merged: whole("c", nil, p, p, p),
			want: []string{"plugin 10-p did not come through the proxy"}},
		{name: "a second part of the runtime", merged: whole("c", nil, validator, validator),
			want: []string{"plugin 00-default-validator did not come through the proxy"}},
		{name: "all at once, in order", merged: whole("c", variable("B", "1"), engine.Plugin{Index: "10", Name: "x"}, engine.Plugin{Index: "10", Name: "a"}),
			want: []string{"nothing that the proxy let through explains: add env B (container c)",
				"plugin 10-a did not come through the proxy", "plugin 10-x did not come through the proxy"}},
	} {
		l := nri.NewLedger(builtin)
		m := l.Join(p)
		l.Join(q)
		m.Approve(adjusted(p, "c", tt.through))
		if got := l.Explain(tt.merged); !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, tt.want)
		}
	}
}

// NRI's book knows names, and of hooks and rules not who asked for which. The ledger
// knows who was let have what.
func TestLedgerKnowsWhose(t *testing.T) {
	who := func(pid, uid int64, exe string) *engine.Identity {
		return &engine.Identity{PID: pid, UID: uid, Exe: exe}
	}
	p, q := engine.Plugin{Index: "10", Name: "p", Identity: who(1, 0, "/p")}, engine.Plugin{Index: "20", Name: "q", Identity: who(2, 7, "/q")}
	older := engine.Plugin{Index: "10", Name: "p", Identity: who(3, 0, "/p")}
	other := engine.Plugin{Index: "10", Name: "p", Identity: who(4, 5, "/other")}
	unknown := engine.Plugin{Index: "10", Name: "p"}
	validator := engine.Plugin{Index: "00", Name: "default-validator"}
	type lets map[*engine.Plugin]*api.ContainerAdjustment
	for _, tt := range []struct {
		name       string
		through    lets
		left       []engine.Plugin // moments ago
		merged     *engine.Review
		want       string // owners, by change
		identities string // of those consulted
	}{
		{name: "one", through: lets{&p: variable("A", "1")}, merged: whole("c", variable("A", "1"), p),
			want: "env:A [10-p 1]", identities: "10-p 1 0 /p"},
		{name: "each its hook", through: lets{&p: hooks("/a"), &q: hooks("/b")}, merged: whole("c", hooks("/a", "/b"), p, q),
			want: "hook:poststop [10-p 1], hook:poststop#2 [20-q 2]", identities: "10-p 1 0 /p, 20-q 2 7 /q"},
		{name: "both the same hook", through: lets{&p: hooks("/a"), &q: hooks("/a")}, merged: whole("c", hooks("/a", "/a"), p, q),
			want: "hook:poststop [10-p 1 20-q 2], hook:poststop#2 [10-p 1 20-q 2]", identities: "10-p 1 0 /p, 20-q 2 7 /q"},
		{name: "one takes over from the other", through: lets{&p: variable("A", "1")}, left: []engine.Plugin{older}, merged: whole("c", variable("A", "1"), p),
			want: "env:A [10-p 1]", identities: "10-p 0 0 /p"},
		{name: "two who are not alike", through: lets{&p: variable("A", "1"), &other: variable("B", "1")}, merged: whole("c", variable("B", "1"), p, other),
			want: "env:B [10-p 4]", identities: "10-p 0 -1 , 10-p 0 -1 "},
		{name: "one of whom nothing is known", through: lets{&p: variable("A", "1"), &unknown: nil}, merged: whole("c", variable("A", "1"), p, p),
			want: "env:A [10-p 1]", identities: "10-p, 10-p"},
		{name: "nobody was let have it", through: lets{&p: variable("A", "1")}, merged: whole("c", variable("B", "1"), p),
			want: "env:B [] unexplained", identities: "10-p 1 0 /p"},
		{name: "part of the runtime", through: lets{&validator: nil}, merged: whole("c", nil, validator), identities: "00-default-validator"},
		{name: "a stranger", merged: whole("c", nil, p), want: "unexplained", identities: "10-p"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := nri.NewLedger()
			for _, gone := range tt.left {
				l.Join(gone).Leave()
			}
			for plugin, adjust := range tt.through {
				l.Join(*plugin).Approve(adjusted(*plugin, "c", adjust))
			}
			unexplained := l.Explain(tt.merged)
			var got, identities []string
			for _, c := range tt.merged.Changes {
				var owners []string
				for _, o := range c.Owners {
					owners = append(owners, fmt.Sprint(o, " ", o.Identity.PID))
				}
				if (len(c.Owners) == 1) != (c.Plugin != engine.Plugin{}) && len(unexplained) == 0 {
					t.Errorf("%s is of %v and by %v", c.ID, c.Owners, c.Plugin)
				}
				got = append(got, fmt.Sprint(c.ID, " ", owners))
			}
			text := strings.Join(got, ", ")
			if len(unexplained) > 0 {
				text = strings.TrimSpace(text + " unexplained")
			}
			for _, p := range tt.merged.Plugins {
				text := p.String()
				if id := p.Identity; id != nil {
					text += fmt.Sprintf(" %d %d %s", id.PID, id.UID, id.Exe)
				}
				identities = append(identities, text)
			}
			if got := strings.Join(identities, ", "); text != tt.want || got != tt.identities {
				t.Errorf("changes:\n got %s\nwant %s\nplugins:\n got %s\nwant %s", text, tt.want, got, tt.identities)
			}
		})
	}
}

// What was let through for one creation does not serve another.
func TestLedgerForgets(t *testing.T) {
	p := engine.Plugin{Index: "10", Name: "p"}
	l := nri.NewLedger()
	m := l.Join(p)
	merged := func() *engine.Review { return whole("c", variable("A", "1"), p) }
	m.Approve(adjusted(p, "c", variable("A", "1")))
	if got := l.Explain(merged()); len(got) != 0 {
		t.Errorf("not explained: %q", got)
	}
	if got := l.Explain(merged()); len(got) != 1 {
		t.Errorf("explained once more: %q", got)
	}
	m.Approve(adjusted(p, "c", variable("A", "1")))
	m.Approve(adjusted(p, "c", variable("A", "2")))
	if got := l.Explain(merged()); len(got) != 1 {
		t.Errorf("explained by what was overtaken: %q", got)
	}
	// A plugin that dies in the middle stands among those consulted, and so does what
	// it was let have.
	m.Approve(adjusted(p, "c", variable("A", "1")))
	m.Leave()
	m.Leave()
	if got := l.Explain(merged()); len(got) != 0 {
		t.Errorf("not explained: %q", got)
	}
	if got := l.Explain(whole("d", nil, p)); len(got) != 1 {
		t.Errorf("explained by one that had left before it began: %q", got)
	}
	// That covers for one, however often it has come and gone.
	for range 3 {
		l.Join(p).Leave()
	}
	if got := l.Explain(whole("c", nil, p, p)); len(got) != 1 {
		t.Errorf("two are explained by those who have left: %q", got)
	}
	// However many there are, the latest is there.
	m = l.Join(p)
	for i := range 3000 {
		m.Approve(adjusted(p, fmt.Sprint(i), variable("A", "1")))
	}
	if got := l.Explain(whole("2999", variable("A", "1"), p)); len(got) != 0 {
		t.Errorf("not explained: %q", got)
	}
	if got := l.Explain(whole("0", variable("A", "1"), p)); len(got) != 1 {
		t.Errorf("everything is kept: %q", got)
	}
}
