package nri_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
)

// objections strips the changes with the given ids from the first review that it
// sees, and objects to nothing that is left.
type objections struct {
	ids  []string
	done bool
}

func (o *objections) Revision() string { return "test" }

func (o *objections) Judge(_ context.Context, r *engine.Review) engine.Verdict {
	var v engine.Verdict
	for _, c := range r.Changes {
		if slices.Contains(o.ids, c.ID) && !o.done {
			v.Violations = append(v.Violations, engine.Violation{Policy: "p", Change: c.ID, Enforcement: engine.Strip})
		}
	}
	o.done = true
	return v
}

func ids(changes []*engine.Change) string {
	var list []string
	for _, c := range changes {
		list = append(list, c.ID)
	}
	return strings.Join(list, " ")
}

// TestStrip takes changes out of an adjustment and looks at what is left of it.
func TestStrip(t *testing.T) {
	device := &api.LinuxDevice{Path: "/dev/x", Type: "c", Major: 10, Minor: 200}
	rule := &api.LinuxDeviceCgroup{Allow: true, Type: "c", Major: api.Int64(int64(10)), Minor: api.Int64(int64(200)), Access: "rwm"}
	other := &api.LinuxDeviceCgroup{Allow: true, Type: "c", Major: api.Int64(int64(1)), Access: "r"}
	container := &api.Container{Id: "c1", Env: []string{"OLD=1"}, Annotations: map[string]string{"k": "v"},
		Mounts: []*api.Mount{{Destination: "/data", Type: "tmpfs", Source: "tmpfs"}}}
	for name, c := range map[string]struct {
		adjust, want *api.ContainerAdjustment
		object       []string
		stripped     string
	}{
		"one of two mounts": {
			adjust:   &api.ContainerAdjustment{Mounts: []*api.Mount{{Destination: "/a/", Type: "tmpfs"}, {Destination: "/b", Type: "tmpfs"}}},
			want:     &api.ContainerAdjustment{Mounts: []*api.Mount{{Destination: "/b", Type: "tmpfs"}}},
			object:   []string{"mount:/a"},
			stripped: "mount:/a",
		},
		"a replacement gives the original back": {
			adjust:   &api.ContainerAdjustment{Mounts: []*api.Mount{{Destination: "-/data"}, {Destination: "/data/.", Type: "bind", Source: "/srv"}}},
			want:     &api.ContainerAdjustment{},
			object:   []string{"mount:/data"},
			stripped: "mount:/data",
		},
		"a contradiction goes whole": {
			adjust:   &api.ContainerAdjustment{Annotations: map[string]string{"k": "new", "-k": "", "other": "1"}},
			want:     &api.ContainerAdjustment{Annotations: map[string]string{"other": "1"}},
			object:   []string{"annotation:k#2"},
			stripped: "annotation:k annotation:k#2",
		},
		"a device takes its rules along": {
			adjust: &api.ContainerAdjustment{Linux: &api.LinuxContainerAdjustment{Devices: []*api.LinuxDevice{device},
				Resources: &api.LinuxResources{Devices: []*api.LinuxDeviceCgroup{rule, other}}}},
			want: &api.ContainerAdjustment{Linux: &api.LinuxContainerAdjustment{
				Resources: &api.LinuxResources{Devices: []*api.LinuxDeviceCgroup{other}}}},
			object:   []string{"device:/dev/x"},
			stripped: "device:/dev/x deviceRule deviceRule#2",
		},
		"an implied rule takes its device along": {
			adjust:   &api.ContainerAdjustment{Linux: &api.LinuxContainerAdjustment{Devices: []*api.LinuxDevice{device}}},
			want:     &api.ContainerAdjustment{Linux: &api.LinuxContainerAdjustment{}},
			object:   []string{"deviceRule"},
			stripped: "device:/dev/x deviceRule",
		},
		"one hook of several": {
			adjust: &api.ContainerAdjustment{Hooks: &api.Hooks{Prestart: []*api.Hook{{Path: "/a"}, {Path: "/b"}, {Path: "/a"}}}},
			want:   &api.ContainerAdjustment{Hooks: &api.Hooks{Prestart: []*api.Hook{{Path: "/a"}, {Path: "/a"}}}},
			object: []string{"hook:prestart#2"}, stripped: "hook:prestart#2",
		},
		"memory and swap are one setting": {
			adjust: &api.ContainerAdjustment{Linux: &api.LinuxContainerAdjustment{Resources: &api.LinuxResources{
				Memory: &api.LinuxMemory{Limit: api.Int64(int64(5))}, Cpu: &api.LinuxCPU{Cpus: "1"}}}},
			want: &api.ContainerAdjustment{Linux: &api.LinuxContainerAdjustment{Resources: &api.LinuxResources{
				Memory: &api.LinuxMemory{}, Cpu: &api.LinuxCPU{Cpus: "1"}}}},
			object: []string{"resource:memory.swap"}, stripped: "resource:memory.limit resource:memory.swap",
		},
	} {
		t.Run(name, func(t *testing.T) {
			asked := proto.CloneOf(c.adjust)
			r := (&nri.Border{}).Adjustment(&api.ValidateContainerAdjustmentRequest{Container: container, Adjust: c.adjust})
			d := engine.New(engine.Rules{Policies: &objections{ids: c.object}}).Decide(context.Background(), r)
			adjust, _ := nri.Approved(d)
			if !d.Allowed || !proto.Equal(adjust, c.want) {
				t.Errorf("approved %v, want %v; %v", adjust, c.want, d.Reasons())
			}
			if got := ids(d.Stripped); got != c.stripped {
				t.Errorf("stripped %s, want %s", got, c.stripped)
			}
			if !proto.Equal(asked, c.adjust) {
				t.Error("the messages that are shared with NRI were modified")
			}
		})
	}
}

// Where the runtime wanted something else than the plugins, it gets what it wanted.
func TestStripUpdates(t *testing.T) {
	requested := &api.LinuxResources{Memory: &api.LinuxMemory{Limit: api.Int64(int64(10))}, Unified: map[string]string{"memory.high": "1"}}
	r := (&nri.Border{Lookup: seen}).Updates(nri.Updates{
		Operation: engine.UpdateContainer, Container: &api.Container{Id: "c1"}, Requested: requested,
		Update: []*api.ContainerUpdate{
			{ContainerId: "other", Linux: &api.LinuxContainerUpdate{Resources: &api.LinuxResources{Cpu: &api.LinuxCPU{Cpus: "1"}}}},
			{ContainerId: "c1", Linux: &api.LinuxContainerUpdate{Resources: &api.LinuxResources{
				Memory: &api.LinuxMemory{Limit: api.Int64(int64(99)), Swap: api.Int64(int64(1))}, Unified: map[string]string{"memory.high": "2"}}}},
			{ContainerId: "c1", Linux: &api.LinuxContainerUpdate{Resources: &api.LinuxResources{Pids: &api.LinuxPids{Limit: 7}}}},
		},
	})
	object := &objections{ids: []string{"resource:memory.limit", "resource:unified.memory.high", "resource:cpu.cpus@other"}}
	d := engine.New(engine.Rules{Policies: object}).Decide(context.Background(), r)
	_, updates := nri.Approved(d)
	want := &api.ContainerUpdate{ContainerId: "c1", Linux: &api.LinuxContainerUpdate{Resources: &api.LinuxResources{
		Memory: &api.LinuxMemory{Limit: api.Int64(int64(10)), Swap: api.Int64(int64(1))}, Unified: map[string]string{"memory.high": "1"}}}}
	if len(updates) != 2 || !proto.Equal(updates[0], want) {
		t.Errorf("approved %v, want %v; %v", updates, want, d.Reasons())
	}
}

// What cannot be taken out denies.
func TestStripImpossible(t *testing.T) {
	for name, c := range map[string]struct {
		border nri.Border
		object string
		want   string
	}{
		"one may only accept or reject": {nri.Border{NoStrip: true}, "env:A", "p: may not add env A (env A)"},
		"a value that is not known":     {nri.Border{}, "unknown:adjust.linux.ioPriority.class=77", "could not be taken out: add unknown adjust.linux.ioPriority.class=77"},
		"what the generator does by itself": {nri.Border{}, "env:junk",
			"could not be taken out: remove env junk is still there when it is taken out"},
	} {
		req := &api.ValidateContainerAdjustmentRequest{Container: &api.Container{Id: "c1", Env: []string{"junk"}}, Adjust: &api.ContainerAdjustment{
			Env:   []*api.KeyValue{{Key: "A", Value: "1"}},
			Linux: &api.LinuxContainerAdjustment{IoPriority: &api.LinuxIOPriority{Class: 77}},
		}}
		d := engine.New(engine.Rules{Policies: &objections{ids: []string{c.object}}}).Decide(context.Background(), c.border.Adjustment(req))
		if reasons := strings.Join(d.Reasons(), "; "); d.Allowed || !strings.Contains(reasons, c.want) {
			t.Errorf("%s: %s", name, reasons)
		}
	}
}
