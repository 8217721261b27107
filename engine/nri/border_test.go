package nri_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
)

func review(a *api.ContainerAdjustment) *engine.Review {
	border := &nri.Border{}
	return border.Adjustment(&api.ValidateContainerAdjustmentRequest{Container: &api.Container{Id: "c1"}, Adjust: a})
}

// future is a field that no NRI known here has.
func future(m proto.Message) {
	raw := protowire.AppendTag(nil, 4000, protowire.BytesType)
	m.ProtoReflect().SetUnknown(protowire.AppendString(raw, "surprise"))
}

func TestUnknownFields(t *testing.T) {
	a := &api.ContainerAdjustment{
		Mounts: []*api.Mount{{Destination: "/a", Type: "tmpfs"}},
		Linux:  &api.LinuxContainerAdjustment{Resources: &api.LinuxResources{Cpu: &api.LinuxCPU{}}},
	}
	future(a)
	future(a.Mounts[0])
	future(a.Linux.Resources.Cpu)
	// What arrives over the wire, not only what is built in memory.
	wire, err := proto.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	received := &api.ContainerAdjustment{}
	if err := proto.Unmarshal(wire, received); err != nil {
		t.Fatal(err)
	}
	r := review(received)
	for _, id := range []string{"unknown:adjust#4000", "unknown:adjust.mounts#4000", "unknown:adjust.linux.resources.cpu#4000"} {
		if c := r.Change(id); c == nil || c.Value != int64(12) {
			t.Errorf("%s: %+v", id, c)
		}
	}
	rest, err := r.Strip(r, []string{"unknown:adjust.mounts#4000"})
	if err != nil {
		t.Fatal(err)
	}
	if left := renderChanges(rest); strings.Contains(left, "unknown") || !strings.Contains(left, "mount:/a") {
		t.Errorf("left after stripping: %s", left)
	}
	broken := &api.ContainerAdjustment{}
	broken.ProtoReflect().SetUnknown([]byte{0xff})
	if r := review(broken); !slices.Contains(r.Malformed, "adjust ends in the middle of a field") {
		t.Errorf("malformed: %q", r.Malformed)
	}
}

func TestMissingElements(t *testing.T) {
	for name, a := range map[string]*api.ContainerAdjustment{
		"adjust.mounts":                  {Mounts: []*api.Mount{nil}},
		"adjust.env":                     {Env: []*api.KeyValue{nil}},
		"adjust.rlimits":                 {Rlimits: []*api.POSIXRlimit{nil}},
		"adjust.CDIDevices":              {CDIDevices: []*api.CDIDevice{nil}},
		"adjust.hooks.poststop":          {Hooks: &api.Hooks{Poststop: []*api.Hook{nil}}},
		"adjust.linux.devices":           {Linux: &api.LinuxContainerAdjustment{Devices: []*api.LinuxDevice{nil}}},
		"adjust.linux.namespaces":        {Linux: &api.LinuxContainerAdjustment{Namespaces: []*api.LinuxNamespace{nil}}},
		"adjust.linux.resources.devices": {Linux: &api.LinuxContainerAdjustment{Resources: &api.LinuxResources{Devices: []*api.LinuxDeviceCgroup{nil}}}},
	} {
		if r := review(a); !slices.Contains(r.Malformed, name+" has an element that is missing") {
			t.Errorf("%s: %q", name, r.Malformed)
		}
		border := &nri.Border{}
		if r := border.Reply(nri.Reply{Container: &api.Container{Id: "c1"}, Adjust: a}); len(r.Malformed) == 0 {
			t.Errorf("%s: a reply with it passes", name)
		}
	}
	r := review(&api.ContainerAdjustment{Linux: &api.LinuxContainerAdjustment{NetDevices: map[string]*api.LinuxNetDevice{"eth0": nil, "-eth1": nil}}})
	if want := []string{`network device "eth0" is set to nothing`}; !slices.Equal(r.Malformed, want) {
		t.Errorf("network devices: %q", r.Malformed)
	}
}

func TestNothingAtAll(t *testing.T) {
	border := &nri.Border{}
	for name, r := range map[string]*engine.Review{
		"adjustment": border.Adjustment(nil),
		"empty":      border.Adjustment(&api.ValidateContainerAdjustmentRequest{}),
		"reply":      border.Reply(nri.Reply{}),
		"updates":    border.Updates(nri.Updates{Operation: engine.Synchronize, Update: []*api.ContainerUpdate{nil}}),
	} {
		if len(r.Changes) > 0 || len(r.Malformed) > 0 {
			t.Errorf("%s: %s %q", name, renderChanges(r), r.Malformed)
		}
	}
	if r := border.Updates(nri.Updates{Evict: []*api.ContainerEviction{nil}}); len(r.Malformed) == 0 {
		t.Error("an empty eviction passes")
	}
}

func TestTextThatNoSystemCallTakes(t *testing.T) {
	r := review(&api.ContainerAdjustment{Args: []string{"a\x00b", "\xff"}})
	want := []string{"adjust.args holds a NUL byte", "adjust.args is not valid UTF-8"}
	if !slices.Equal(r.Malformed, want) {
		t.Errorf("malformed: %q", r.Malformed)
	}
}

func TestTooManyElements(t *testing.T) {
	a := &api.ContainerAdjustment{}
	for i := range 5000 {
		a.Mounts = append(a.Mounts, &api.Mount{Destination: fmt.Sprint("/", i), Type: "tmpfs"})
	}
	r := review(a)
	if want := []string{"the adjustment lists 5000 things; at most 4096 are looked at"}; !slices.Equal(r.Malformed, want) {
		t.Errorf("malformed: %q", r.Malformed)
	}
}

// Each component of a path is a system call.
func TestTooManyComponents(t *testing.T) {
	a := &api.ContainerAdjustment{}
	for i := range 200 {
		a.Mounts = append(a.Mounts, &api.Mount{Destination: fmt.Sprint("/", i), Type: "bind", Source: strings.Repeat("/.", 1000)})
	}
	r := review(a)
	if want := []string{"the sources of mounts have more than 32768 components in all; no more are looked up"}; !slices.Equal(r.Malformed, want) {
		t.Errorf("malformed: %q", r.Malformed)
	}
	if m := r.Changes[199].Value.(*engine.Mount); m.ResolvedSource != "/" {
		t.Errorf("what is not looked up is taken for %s", m.ResolvedSource)
	}
}

func TestTooManyUpdates(t *testing.T) {
	var updates []*api.ContainerUpdate
	var evict []*api.ContainerEviction
	for range 5000 {
		updates = append(updates, &api.ContainerUpdate{ContainerId: "other"})
		evict = append(evict, &api.ContainerEviction{ContainerId: "other"})
	}
	r := (&nri.Border{Lookup: seen}).Updates(nri.Updates{Operation: engine.UpdateContainers, Update: updates, Evict: evict})
	want := []string{"the updates list 5000 things; at most 4096 are looked at", "there are 5000 evictions; at most 4096 are looked at"}
	if !slices.Equal(r.Malformed, want) {
		t.Errorf("malformed: %q", r.Malformed)
	}
}

// Of a name with a comma nobody can tell whose it is in NRI's list of owners, whatever
// else it is in the book for.
func TestOwnersOfHooks(t *testing.T) {
	for _, c := range []struct {
		plugins []string
		owners  string
		want    string
	}{
		{[]string{"a", "b"}, "10-a,10-b", "[10-a 10-b]"},
		{[]string{"a"}, "10-a,10-a", "[10-a]"},
		{[]string{"a", "x,10-a"}, "10-x,10-a", "[]"},
	} {
		req := &api.ValidateContainerAdjustmentRequest{
			Container: &api.Container{Id: "c1"},
			Adjust: &api.ContainerAdjustment{
				Annotations: map[string]string{"a": "1"},
				Hooks:       &api.Hooks{Prestart: []*api.Hook{{Path: "/x"}}},
			},
			Owners: api.NewOwningPlugins(),
		}
		for _, name := range c.plugins {
			req.AddPlugin(name, "10")
		}
		_ = req.Owners.ClaimHooks("c1", c.owners)
		_ = req.Owners.ClaimAnnotation("c1", "a", c.owners)
		r := (&nri.Border{}).Adjustment(req)
		if got := fmt.Sprint(r.Change("hook:prestart").Owners); got != c.want {
			t.Errorf("%q of %q: owners %s, want %s", c.owners, c.plugins, got, c.want)
		}
	}
}

// The device nodes that a number names are looked for where they are.
func TestHostPaths(t *testing.T) {
	r := review(&api.ContainerAdjustment{Linux: &api.LinuxContainerAdjustment{Devices: []*api.LinuxDevice{
		{Path: "/dev/innocent", Type: "c", Major: 1, Minor: 3}, {Path: "/dev/none", Type: "b", Major: 1, Minor: 3}, {Path: "/dev/pipe", Type: "p"},
	}}})
	if d := r.Change("device:/dev/innocent").Value.(*engine.Device); !slices.Contains(d.HostPaths, "/dev/null") {
		t.Errorf("character device 1:3 is at %v on this host, not at /dev/null", d.HostPaths)
	}
	for _, id := range []string{"device:/dev/none", "device:/dev/pipe"} {
		if d := r.Change(id).Value.(*engine.Device); len(d.HostPaths) > 0 {
			t.Errorf("%s is at %v", id, d.HostPaths)
		}
	}
}

// A propagation option reaches the container's root even where the mount itself
// stays what it was.
func TestRootPropagation(t *testing.T) {
	m := &api.Mount{Destination: "/a", Type: "bind", Source: "/srv", Options: []string{"rbind", "rshared"}}
	req := &api.ValidateContainerAdjustmentRequest{
		Container: &api.Container{Id: "c1", Mounts: []*api.Mount{m}},
		Adjust:    &api.ContainerAdjustment{Mounts: []*api.Mount{proto.CloneOf(m)}},
	}
	r := (&nri.Border{}).Adjustment(req)
	c := r.Change("mount:/a")
	if c == nil || c.Op != engine.Replace || c.Value.(*engine.Mount).Propagation != "rshared" {
		t.Fatalf("changes: %s", renderChanges(r))
	}
	m.Options, req.Adjust.Mounts[0].Options = []string{"rbind", "rshared", "rprivate"}, []string{"rbind", "rshared", "rprivate"}
	if r := (&nri.Border{}).Adjustment(req); len(r.Changes) > 0 {
		t.Errorf("nothing changes, but there is %s", renderChanges(r))
	}
}
