package nri_test

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/adaptation/builtin"
	"github.com/containerd/nri/pkg/api"
	validator "github.com/containerd/nri/plugins/default-validator"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
)

// requested is the request that validators of NRI's convention get of a review.
func requested(r *engine.Review) *api.ValidateContainerAdjustmentRequest {
	return r.Messages.(interface {
		ValidateRequest() *api.ValidateContainerAdjustmentRequest
	}).ValidateRequest()
}

// replies are what a plugin may answer to a creation.
func replies() map[string]*api.CreateContainerResponse {
	of := func(set func(a *api.ContainerAdjustment)) *api.CreateContainerResponse {
		a := &api.ContainerAdjustment{}
		set(a)
		return &api.CreateContainerResponse{Adjust: a}
	}
	return map[string]*api.CreateContainerResponse{
		"additions": of(func(a *api.ContainerAdjustment) {
			a.AddAnnotation("new", "1")
			a.AddMount(&api.Mount{Destination: "/m", Type: "tmpfs", Source: "tmpfs"})
			a.AddEnv("NEW", "1")
			a.AddHooks(&api.Hooks{Prestart: []*api.Hook{{Path: "/a"}}, Poststop: []*api.Hook{{Path: "/b"}}})
			a.AddRlimit("RLIMIT_NOFILE", 10, 5)
			a.AddCDIDevice(&api.CDIDevice{Name: "vendor.com/class=dev"})
			a.AddDevice(&api.LinuxDevice{Path: "/dev/x", Type: "c", Major: 1, Minor: 2})
			a.SetArgs([]string{"bash"})
		}),
		"Linux": of(func(a *api.ContainerAdjustment) {
			score := 7
			a.SetLinuxOomScoreAdj(&score)
			a.SetLinuxCgroupsPath("/x")
			a.SetLinuxSysctl("kernel.x", "1")
			a.AddOrReplaceNamespace(&api.LinuxNamespace{Type: "network", Path: "/run/netns/x"})
			a.SetLinuxSeccompPolicy(&api.LinuxSeccomp{DefaultAction: "SCMP_ACT_ALLOW"})
		}),
		"resources": of(func(a *api.ContainerAdjustment) {
			a.SetLinuxMemoryLimit(1 << 30)
			a.SetLinuxCPUShares(7)
			a.SetLinuxCPUQuota(1000)
			a.SetLinuxCPUPeriod(100)
			a.SetLinuxCPUSetCPUs("0")
			a.SetLinuxCPUSetMems("0")
			a.SetLinuxPidLimits(5)
			a.AddLinuxHugepageLimit("2MB", 1)
			a.AddLinuxUnified("memory.high", "1")
			a.SetLinuxBlockIOClass("b")
			a.SetLinuxRDTClass("r")
		}),
		"replacements and removals": of(func(a *api.ContainerAdjustment) {
			a.RemoveAnnotation("old")
			a.RemoveMount("/old")
			a.RemoveMount("/replaced")
			a.AddMount(&api.Mount{Destination: "/replaced", Type: "tmpfs", Source: "tmpfs"})
			a.UpdateArgs([]string{"bash"})
		}),
		"an update": {Update: []*api.ContainerUpdate{shares("other", 5)}},
		"nothing":   {},
	}
}

func requestContainer() *api.Container {
	c := testContainer("c")
	c.Annotations = map[string]string{"old": "1"}
	c.Mounts = []*api.Mount{{Destination: "/old", Type: "tmpfs"}, {Destination: "/replaced", Type: "bind", Source: "/srv"}}
	return c
}

// What a validator is shown of one plugin's own reply is what NRI itself would show
// of it, if that plugin were the only one: the grammar, and who owns what.
func TestRequestOfReply(t *testing.T) {
	border := &nri.Border{HostRoot: t.TempDir(), Lookup: func(id string) (*api.PodSandbox, *api.Container) { return testPod(id), testContainer(id) }}
	for name, rpl := range replies() {
		t.Run(name, func(t *testing.T) {
			var want *api.ValidateContainerAdjustmentRequest
			asker := &builtin.BuiltinPlugin{Base: "asker", Index: "10", Handlers: builtin.BuiltinHandlers{
				CreateContainer: func(context.Context, *api.CreateContainerRequest) (*api.CreateContainerResponse, error) {
					return proto.CloneOf(rpl), nil
				}}}
			keeper := &builtin.BuiltinPlugin{Base: "keeper", Index: "99", Handlers: builtin.BuiltinHandlers{
				ValidateContainerAdjustment: func(_ context.Context, req *api.ValidateContainerAdjustmentRequest) error {
					want = proto.CloneOf(req)
					return nil
				}}}
			owner := ownAdaptation(t, asker, keeper)
			if _, err := owner.CreateContainer(t.Context(), &api.CreateContainerRequest{Pod: testPod("c"), Container: requestContainer()}); err != nil {
				t.Fatal(err)
			}
			got := requested(border.Reply(nri.Reply{
				Plugin: engine.Plugin{Name: "asker", Index: "10"}, Pod: testPod("c"),
				Container: requestContainer(), Pristine: requestContainer(), Adjust: rpl.Adjust, Update: rpl.Update}))
			if diff := cmp.Diff(normal(want), normal(got), protocmp.Transform(), protocmp.SortRepeatedFields(&api.ContainerAdjustment{}, "mounts", "env")); diff != "" {
				t.Errorf("NRI's (-) and ours (+):\n%s", diff)
			}
			reviewed := requested(border.Adjustment(want))
			if !proto.Equal(want, reviewed) {
				t.Errorf("the merged one is shown as %v", reviewed)
			}
		})
	}
}

// normal leaves out of a request what says nothing: messages that are empty, the
// plugin that keeps it, owners of nothing, and those of removals, of which NRI's book
// has some.
func normal(req *api.ValidateContainerAdjustmentRequest) *api.ValidateContainerAdjustmentRequest {
	req = proto.CloneOf(req)
	req.Plugins = req.Plugins[:1]
	for id, owners := range req.GetOwners().GetOwners() {
		for field, entries := range owners.GetCompound() {
			maps.DeleteFunc(entries.GetOwners(), func(_, owner string) bool { return strings.HasPrefix(owner, "-") })
			if len(entries.GetOwners()) == 0 {
				delete(owners.Compound, field)
			}
		}
		if len(owners.GetCompound())+len(owners.GetSimple()) == 0 {
			delete(req.Owners.Owners, id)
		}
	}
	prune(req.ProtoReflect())
	return req
}

// prune takes out messages that are empty, and tells whether this one is.
func prune(m protoreflect.Message) (empty bool) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Kind() != protoreflect.MessageKind || f.IsMap():
		case f.IsList():
			for i := range v.List().Len() {
				prune(v.List().Get(i).Message())
			}
		case prune(v.Message()):
			m.Clear(f)
		}
		return true
	})
	return proto.Size(m.Interface()) == 0
}

// NRI's own validator goes by the owners alone. What was stripped has none any more,
// so that it does not object twice; what one plugin asks for is that plugin's.
func TestRequestForNRIsValidator(t *testing.T) {
	strict := validator.NewDefaultValidator(&validator.DefaultValidatorConfig{
		RejectOCIHookAdjustment: true, RejectNamespaceAdjustment: true, RejectSysctlAdjustment: true})
	verdict := func(r *engine.Review) string {
		if err := strict.ValidateContainerAdjustment(t.Context(), requested(r)); err != nil {
			return err.Error()
		}
		return ""
	}
	border := &nri.Border{HostRoot: t.TempDir()}
	for name, c := range map[string]struct {
		set  func(a *api.ContainerAdjustment)
		ids  []string
		want string
	}{
		"hooks": {func(a *api.ContainerAdjustment) {
			a.AddHooks(&api.Hooks{Prestart: []*api.Hook{{Path: "/a"}, {Path: "/b"}}})
		}, []string{"hook:prestart", "hook:prestart#2"}, `plugin "10-p"`},
		"namespaces": {func(a *api.ContainerAdjustment) {
			a.AddOrReplaceNamespace(&api.LinuxNamespace{Type: "network", Path: "/x"})
		}, []string{"namespace:network"}, `"10-p" (namespace "network")`},
		"sysctls": {func(a *api.ContainerAdjustment) { a.SetLinuxSysctl("net.x", "1") }, []string{"sysctl:net.x"}, "plugin(s) 10-p"},
	} {
		adjust := &api.ContainerAdjustment{}
		c.set(adjust)
		adjust.AddEnv("A", "1")
		reply := nri.Reply{Plugin: engine.Plugin{Name: "p", Index: "10"}, Pod: testPod("c"), Container: testContainer("c"), Adjust: adjust}
		own := border.Reply(reply)
		merged := border.Adjustment(requested(own))
		for kind, r := range map[string]*engine.Review{"reply": own, "merged": merged} {
			if got := verdict(r); !strings.Contains(got, c.want) {
				t.Errorf("%s, %s: %q, want %s", name, kind, got, c.want)
			}
			before := proto.CloneOf(requested(r))
			if rest, err := r.Strip(r, c.ids[:1]); err != nil || len(c.ids) > 1 && verdict(rest) == "" {
				t.Errorf("%s, %s: a part of it is stripped, and the rest has no owner: %v", name, kind, err)
			}
			rest, err := r.Strip(r, c.ids)
			if err != nil {
				t.Fatal(err)
			}
			if got := verdict(rest); got != "" {
				t.Errorf("%s, %s: stripped, %q", name, kind, got)
			}
			if owner, ok := requested(rest).GetOwners().EnvOwner("c", "A"); !ok || owner != "10-p" {
				t.Errorf("%s, %s: what is left is %q's", name, kind, owner)
			}
			if !proto.Equal(before, requested(r)) {
				t.Errorf("%s, %s: stripping modified the request", name, kind)
			}
		}
	}
}

// Updates have no adjustment; their owner is known where one plugin asks.
func TestRequestOfUpdates(t *testing.T) {
	border := &nri.Border{Lookup: func(id string) (*api.PodSandbox, *api.Container) { return testPod(id), testContainer(id) }}
	u := nri.Updates{Operation: engine.StopContainer, Pod: testPod("c"), Container: testContainer("c"),
		Plugins: []engine.Plugin{{Name: "p", Index: "10"}, {Name: "q", Index: "20"}}, Update: []*api.ContainerUpdate{shares("other", 5), nil}}
	req := requested(border.Updates(u))
	if req.GetAdjust() != nil || len(req.GetUpdate()) != 2 || req.GetContainer().GetId() != "c" || len(req.GetPlugins()) != 2 || req.GetOwners() != nil {
		t.Errorf("merged: %v", req)
	}
	u.Plugin = u.Plugins[0]
	req = requested(border.Updates(u))
	if owner, ok := req.GetOwners().CPUSharesOwner("other"); !ok || owner != "10-p" {
		t.Errorf("of one plugin: %v", req)
	}
}
