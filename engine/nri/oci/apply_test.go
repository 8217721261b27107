package oci_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/runtime-tools/generate"
	"github.com/google/go-cmp/cmp"
	rspec "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/nri-guard/nri-guard/engine/nri/oci"
)

func ptr[T any](v T) *T { return &v }

func linux(l *api.LinuxContainerAdjustment) *api.ContainerAdjustment {
	return &api.ContainerAdjustment{Linux: l}
}

func resources(r *api.LinuxResources) *api.ContainerAdjustment {
	return linux(&api.LinuxContainerAdjustment{Resources: r})
}

// base is a spec with one of each, so that replacing and removing show.
func base() *rspec.Spec {
	return &rspec.Spec{
		Process: &rspec.Process{
			Args: []string{"sh"},
			Env:  []string{"PATH=/bin", "HOME=/", "EMPTY="},
		},
		Annotations: map[string]string{"a": "1"},
		Mounts: []rspec.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/data", Type: "bind", Source: "/one"},
			{Destination: "/data", Type: "bind", Source: "/two"},
		},
		Linux: &rspec.Linux{
			Sysctl:     map[string]string{"kernel.msgmax": "1"},
			Devices:    []rspec.LinuxDevice{{Path: "/dev/a", Type: "c", Major: 1}, {Path: "/dev/b", Type: "c", Major: 2}},
			Namespaces: []rspec.LinuxNamespace{{Type: rspec.PIDNamespace}, {Type: rspec.NetworkNamespace, Path: "/net"}},
			Resources: &rspec.LinuxResources{
				Devices:        []rspec.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}},
				HugepageLimits: []rspec.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 1}},
				Unified:        map[string]string{"memory.high": "1"},
				BlockIO:        &rspec.LinuxBlockIO{Weight: ptr(uint16(1))},
			},
			IntelRdt: &rspec.LinuxIntelRdt{ClosID: "old"},
		},
	}
}

func TestApply(t *testing.T) {
	for _, c := range []struct {
		name   string
		adjust *api.ContainerAdjustment
		want   func(*rspec.Spec)
	}{
		{"nil adjustment", nil, func(*rspec.Spec) {}},
		{"empty adjustment", &api.ContainerAdjustment{}, func(*rspec.Spec) {}},
		{"empty messages", &api.ContainerAdjustment{
			Hooks: &api.Hooks{},
			Linux: &api.LinuxContainerAdjustment{Resources: &api.LinuxResources{Memory: &api.LinuxMemory{}, Cpu: &api.LinuxCPU{}}},
		}, func(*rspec.Spec) {}},
		{"args replaced", &api.ContainerAdjustment{Args: []string{"", "x"}}, func(s *rspec.Spec) {
			s.Process.Args = []string{"", "x"}
		}},
		{"env replaced in place, removed, added", &api.ContainerAdjustment{Env: []*api.KeyValue{
			{Key: "NEW", Value: "a=b"}, {Key: "-HOME"}, {Key: "PATH", Value: "/usr/bin"}, {Key: "", Value: "x"},
		}}, func(s *rspec.Spec) {
			s.Process.Env = []string{"PATH=/usr/bin", "EMPTY=", "NEW=a=b"}
		}},
		{"the last of two values for a variable wins", &api.ContainerAdjustment{Env: []*api.KeyValue{
			{Key: "NEW", Value: "1"}, {Key: "NEW", Value: "2"},
		}}, func(s *rspec.Spec) {
			s.Process.Env = append(s.Process.Env, "NEW=2")
		}},
		{"annotations", &api.ContainerAdjustment{Annotations: map[string]string{"-a": "", "b": "2"}}, func(s *rspec.Spec) {
			s.Annotations = map[string]string{"b": "2"}
		}},
		{"hooks of every stage", &api.ContainerAdjustment{Hooks: &api.Hooks{
			Prestart:        []*api.Hook{{Path: "/1", Args: []string{"1", "x"}, Env: []string{"A=B"}, Timeout: api.Int(3)}},
			CreateRuntime:   []*api.Hook{{Path: "/2"}},
			CreateContainer: []*api.Hook{{Path: "/3"}},
			StartContainer:  []*api.Hook{{Path: "/4"}},
			Poststart:       []*api.Hook{{Path: "/5"}},
			Poststop:        []*api.Hook{{Path: "/6"}, {Path: "/7"}},
		}}, func(s *rspec.Spec) {
			s.Hooks = &rspec.Hooks{
				Prestart:        []rspec.Hook{{Path: "/1", Args: []string{"1", "x"}, Env: []string{"A=B"}, Timeout: ptr(3)}}, //nolint:staticcheck // NRI still has it
				CreateRuntime:   []rspec.Hook{{Path: "/2"}},
				CreateContainer: []rspec.Hook{{Path: "/3"}},
				StartContainer:  []rspec.Hook{{Path: "/4"}},
				Poststart:       []rspec.Hook{{Path: "/5"}},
				Poststop:        []rspec.Hook{{Path: "/6"}, {Path: "/7"}},
			}
		}},
		{"only the first mount at a destination is removed", &api.ContainerAdjustment{Mounts: []*api.Mount{
			{Destination: "-/data"},
		}}, func(s *rspec.Spec) {
			s.Mounts = []rspec.Mount{{Destination: "/data", Type: "bind", Source: "/two"}, s.Mounts[0]}
		}},
		{"mounts added and sorted by depth", &api.ContainerAdjustment{Mounts: []*api.Mount{
			{Destination: "/x/y", Type: "bind", Source: "/s", Options: []string{"rbind", "ro"}},
			{Destination: "/a", Type: "tmpfs"},
		}}, func(s *rspec.Spec) {
			s.Mounts = []rspec.Mount{
				{Destination: "/a", Type: "tmpfs"}, s.Mounts[1], s.Mounts[2], s.Mounts[0],
				{Destination: "/x/y", Type: "bind", Source: "/s", Options: []string{"rbind", "ro"}},
			}
		}},
		{"a device replaced goes to the end, with a rule", linux(&api.LinuxContainerAdjustment{Devices: []*api.LinuxDevice{
			{Path: "/dev/a", Type: "b", Major: 7, Minor: 8, FileMode: api.FileMode(uint32(0o600)), Uid: api.UInt32(uint32(5))},
		}}), func(s *rspec.Spec) {
			s.Linux.Devices = []rspec.LinuxDevice{s.Linux.Devices[1],
				{Path: "/dev/a", Type: "b", Major: 7, Minor: 8, FileMode: ptr(os.FileMode(0o600)), UID: ptr(uint32(5))}}
			s.Linux.Resources.Devices = append(s.Linux.Resources.Devices,
				rspec.LinuxDeviceCgroup{Allow: true, Type: "b", Major: ptr(int64(7)), Minor: ptr(int64(8)), Access: "rwm"})
		}},
		{"device removed", linux(&api.LinuxContainerAdjustment{Devices: []*api.LinuxDevice{{Path: "-/dev/a"}}}), func(s *rspec.Spec) {
			s.Linux.Devices = s.Linux.Devices[1:]
		}},
		{"namespaces replaced, added, removed", linux(&api.LinuxContainerAdjustment{Namespaces: []*api.LinuxNamespace{
			{Type: "pid", Path: "/pid"}, {Type: "time"}, {Type: "-network"}, nil,
		}}), func(s *rspec.Spec) {
			s.Linux.Namespaces = []rspec.LinuxNamespace{{Type: rspec.PIDNamespace, Path: "/pid"}, {Type: rspec.TimeNamespace}}
		}},
		{"sysctls", linux(&api.LinuxContainerAdjustment{Sysctl: map[string]string{"-kernel.msgmax": "", "net.x": "2"}}), func(s *rspec.Spec) {
			s.Linux.Sysctl = map[string]string{"net.x": "2"}
		}},
		{"network devices", linux(&api.LinuxContainerAdjustment{NetDevices: map[string]*api.LinuxNetDevice{"eth7": {Name: "in"}, "none": nil}}),
			func(s *rspec.Spec) { s.Linux.NetDevices = map[string]rspec.LinuxNetDevice{"eth7": {Name: "in"}} }},
		{"process and Linux scalars", linux(&api.LinuxContainerAdjustment{
			CgroupsPath: "/cg", OomScoreAdj: api.Int(-5),
			IoPriority:   &api.LinuxIOPriority{Class: api.IOPrioClass_IOPRIO_CLASS_BE, Priority: 3},
			Scheduler:    &api.LinuxScheduler{Policy: api.LinuxSchedulerPolicy_SCHED_BATCH, Nice: 4},
			MemoryPolicy: &api.LinuxMemoryPolicy{Mode: api.MpolMode_MPOL_BIND, Nodes: "0"},
			Rdt:          &api.LinuxRdt{ClosId: api.String("new")},
		}), func(s *rspec.Spec) {
			s.Linux.CgroupsPath = "/cg"
			s.Process.OOMScoreAdj = ptr(-5)
			s.Process.IOPriority = &rspec.LinuxIOPriority{Class: rspec.IOPRIO_CLASS_BE, Priority: 3}
			s.Process.Scheduler = &rspec.Scheduler{Policy: rspec.SchedBatch, Nice: 4}
			s.Linux.MemoryPolicy = &rspec.LinuxMemoryPolicy{Mode: rspec.MpolBind, Nodes: "0"}
			s.Linux.IntelRdt.ClosID = "new"
		}},
		{"resources", resources(&api.LinuxResources{
			Cpu: &api.LinuxCPU{Shares: api.UInt64(uint64(1)), Quota: api.Int64(int64(2)), Period: api.UInt64(uint64(3)),
				RealtimeRuntime: api.Int64(int64(4)), RealtimePeriod: api.UInt64(uint64(5)), Cpus: "0", Mems: "1"},
			Memory:         &api.LinuxMemory{Limit: api.Int64(int64(6))},
			HugepageLimits: []*api.HugepageLimit{{PageSize: "2MB", Limit: 7}, {PageSize: "1GB", Limit: 8}},
			Unified:        map[string]string{"memory.high": "9", "pids.max": "10"},
			Pids:           &api.LinuxPids{Limit: 11},
			Devices:        []*api.LinuxDeviceCgroup{{Allow: true, Type: "c", Access: "r"}},
		}), func(s *rspec.Spec) {
			r := s.Linux.Resources
			r.CPU = &rspec.LinuxCPU{Shares: ptr(uint64(1)), Quota: ptr(int64(2)), Period: ptr(uint64(3)),
				RealtimeRuntime: ptr(int64(4)), RealtimePeriod: ptr(uint64(5)), Cpus: "0", Mems: "1"}
			r.Memory = &rspec.LinuxMemory{Limit: ptr(int64(6)), Swap: ptr(int64(6))}
			r.HugepageLimits = []rspec.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 7}, {Pagesize: "1GB", Limit: 8}}
			r.Unified = map[string]string{"memory.high": "9", "pids.max": "10"}
			r.Pids = &rspec.LinuxPids{Limit: ptr(int64(11))}
			r.Devices = append(r.Devices, rspec.LinuxDeviceCgroup{Allow: true, Type: "c", Access: "r"})
		}},
		{"empty classes clear, which needs no resolver", resources(&api.LinuxResources{
			BlockioClass: &api.OptionalString{}, RdtClass: &api.OptionalString{},
		}), func(s *rspec.Spec) {
			s.Linux.Resources.BlockIO, s.Linux.IntelRdt = nil, nil
		}},
		{"rlimits are appended", &api.ContainerAdjustment{Rlimits: []*api.POSIXRlimit{{Type: "RLIMIT_CORE", Hard: 2, Soft: 1}, nil}}, func(s *rspec.Spec) {
			s.Process.Rlimits = []rspec.POSIXRlimit{{Type: "RLIMIT_CORE", Hard: 2, Soft: 1}}
		}},
		{"seccomp", linux(&api.LinuxContainerAdjustment{SeccompPolicy: &api.LinuxSeccomp{DefaultAction: "SCMP_ACT_ALLOW"}}), func(s *rspec.Spec) {
			s.Linux.Seccomp = &rspec.LinuxSeccomp{DefaultAction: rspec.ActAllow, Architectures: []rspec.Arch{}, Flags: []rspec.LinuxSeccompFlag{}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, want := base(), base()
			if err := oci.Apply(got, c.adjust); err != nil {
				t.Fatal(err)
			}
			c.want(want)
			if diff := cmp.Diff(asJSON(t, want), asJSON(t, got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// asJSON is the spec as a runtime reads it: without a difference between empty
// and absent.
func asJSON(t *testing.T, s *rspec.Spec) string {
	t.Helper()
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestApplyToAlmostNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		adjust *api.ContainerAdjustment
		want   rspec.Spec
	}{
		{"nothing asked, nothing created", &api.ContainerAdjustment{
			Linux: &api.LinuxContainerAdjustment{Resources: &api.LinuxResources{Memory: &api.LinuxMemory{}}},
			Env:   []*api.KeyValue{{Key: "-GONE"}}, Mounts: []*api.Mount{{Destination: "-/gone"}},
			Annotations: map[string]string{"-gone": ""},
		}, rspec.Spec{}},
		{"process created", &api.ContainerAdjustment{
			Env:     []*api.KeyValue{{Key: "A", Value: "1"}},
			Rlimits: []*api.POSIXRlimit{{Type: "RLIMIT_CORE"}},
		}, rspec.Spec{Process: &rspec.Process{Env: []string{"A=1"}, Rlimits: []rspec.POSIXRlimit{{Type: "RLIMIT_CORE"}}}}},
		{"Linux created", linux(&api.LinuxContainerAdjustment{
			SeccompPolicy: &api.LinuxSeccomp{DefaultAction: "SCMP_ACT_ERRNO"},
			Namespaces:    []*api.LinuxNamespace{{Type: "-pid"}, {Type: "user"}},
			Devices:       []*api.LinuxDevice{{Path: "-/dev/x"}},
			Sysctl:        map[string]string{"-x": ""},
		}), rspec.Spec{Linux: &rspec.Linux{
			Seccomp:    &rspec.LinuxSeccomp{DefaultAction: rspec.ActErrno, Architectures: []rspec.Arch{}, Flags: []rspec.LinuxSeccompFlag{}, Syscalls: []rspec.LinuxSyscall{}},
			Namespaces: []rspec.LinuxNamespace{{Type: rspec.UserNamespace}},
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got rspec.Spec
			if err := oci.Apply(&got, c.adjust); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestApplyLeavesTheSpecOnError(t *testing.T) {
	failing := errors.New("no such thing")
	first := map[string]string{"first": "applied before the error"}
	for _, c := range []struct {
		name   string
		adjust *api.ContainerAdjustment
		opts   []generate.GeneratorOption
		want   string
	}{
		{"CDI device without injector", &api.ContainerAdjustment{CDIDevices: []*api.CDIDevice{{Name: "vendor.com/gpu=0"}}}, nil,
			`CDI devices ["vendor.com/gpu=0"]: no CDI injector is configured`},
		{"block I/O class without resolver", resources(&api.LinuxResources{BlockioClass: api.String("gold")}), nil,
			`block I/O class "gold": no resolver is configured`},
		{"RDT class without resolver", resources(&api.LinuxResources{RdtClass: api.String("gold")}), nil,
			`RDT class "gold": no resolver is configured`},
		{"injector fails half-way", &api.ContainerAdjustment{CDIDevices: []*api.CDIDevice{{Name: "x"}}},
			[]generate.GeneratorOption{generate.WithCDIDeviceInjector(func(s *rspec.Spec, _ []string) error {
				s.Process.Env[0] = "PATH=/evil"
				return failing
			})}, "no such thing"},
		{"resource check fails", resources(&api.LinuxResources{Memory: &api.LinuxMemory{Limit: api.Int64(int64(1))}}),
			[]generate.GeneratorOption{generate.WithResourceChecker(func(*rspec.LinuxResources) error { return failing })}, "no such thing"},
		{"annotation filter fails", &api.ContainerAdjustment{},
			[]generate.GeneratorOption{generate.WithAnnotationFilter(func(map[string]string) (map[string]string, error) { return nil, failing })}, "no such thing"},
		{"unknown namespace", linux(&api.LinuxContainerAdjustment{Namespaces: []*api.LinuxNamespace{{Type: "uts"}, {Type: "bogus"}}}), nil,
			`unknown type "bogus" of namespace`},
		{"unknown namespace removed", linux(&api.LinuxContainerAdjustment{Namespaces: []*api.LinuxNamespace{{Type: "-bogus"}}}), nil,
			`unknown type "bogus" of namespace`},
		{"shared source that is not there", &api.ContainerAdjustment{Mounts: []*api.Mount{
			{Destination: "/x", Type: "bind", Source: "/nowhere", Options: []string{"rshared"}}}}, nil,
			"mount propagation"},
		{"nil mount", &api.ContainerAdjustment{Mounts: []*api.Mount{{Destination: "/x"}, nil}}, nil, "malformed"},
		{"nil variable", &api.ContainerAdjustment{Env: []*api.KeyValue{nil}}, nil, "malformed"},
		{"nil hook", &api.ContainerAdjustment{Hooks: &api.Hooks{Poststop: []*api.Hook{nil}}}, nil, "malformed"},
		{"nil device", linux(&api.LinuxContainerAdjustment{Devices: []*api.LinuxDevice{nil}}), nil, "malformed"},
		{"nil CDI device", &api.ContainerAdjustment{CDIDevices: []*api.CDIDevice{nil}}, nil, "malformed"},
		{"nil huge page limit", resources(&api.LinuxResources{HugepageLimits: []*api.HugepageLimit{nil}}), nil, "malformed"},
		{"nil device rule", resources(&api.LinuxResources{Devices: []*api.LinuxDeviceCgroup{nil}}), nil, "malformed"},
		{"nil option", &api.ContainerAdjustment{}, []generate.GeneratorOption{nil}, "malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := base()
			if c.adjust.Annotations == nil {
				c.adjust.Annotations = first
			}
			err := oci.Apply(spec, c.adjust, c.opts...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v does not say %q", err, c.want)
			}
			if diff := cmp.Diff(base(), spec); diff != "" {
				t.Errorf("the spec changed:\n%s", diff)
			}
		})
	}
	if err := oci.Apply(nil, nil); err == nil {
		t.Error("a nil spec was accepted")
	}
}

func TestApplyUsesResolvers(t *testing.T) {
	spec := base()
	err := oci.Apply(spec, &api.ContainerAdjustment{
		CDIDevices:  []*api.CDIDevice{{Name: "v/c=1"}, {Name: "v/c=2"}},
		Annotations: map[string]string{"x": "1"},
		Linux: &api.LinuxContainerAdjustment{
			Resources: &api.LinuxResources{BlockioClass: api.String("gold"), RdtClass: api.String("silver")},
		},
	},
		generate.WithCDIDeviceInjector(func(s *rspec.Spec, names []string) error {
			s.Process.Env = append(s.Process.Env, "CDI="+strings.Join(names, ","))
			return nil
		}),
		generate.WithBlockIOResolver(func(class string) (*rspec.LinuxBlockIO, error) {
			return &rspec.LinuxBlockIO{Weight: ptr(uint16(len(class)))}, nil
		}),
		generate.WithRdtResolver(func(class string) (*rspec.LinuxIntelRdt, error) {
			return &rspec.LinuxIntelRdt{ClosID: class}, nil
		}),
		generate.WithAnnotationFilter(func(map[string]string) (map[string]string, error) { return nil, nil }),
	)
	if err != nil {
		t.Fatal(err)
	}
	want := base()
	want.Process.Env = append(want.Process.Env, "CDI=v/c=1,v/c=2")
	want.Linux.Resources.BlockIO.Weight = ptr(uint16(4))
	want.Linux.IntelRdt.ClosID = "silver"
	if diff := cmp.Diff(want, spec); diff != "" {
		t.Error(diff)
	}
}

func TestApplySharesNothing(t *testing.T) {
	adjust := &api.ContainerAdjustment{
		Args:  []string{"sh"},
		Linux: &api.LinuxContainerAdjustment{Devices: []*api.LinuxDevice{{Path: "/dev/x", Type: "c", Major: 1, Minor: 2}}},
	}
	spec := base()
	process := spec.Process
	if err := oci.Apply(spec, adjust); err != nil {
		t.Fatal(err)
	}
	want := asJSON(t, spec)
	adjust.Args[0] = "evil"
	adjust.Linux.Devices[0].Major = 99
	process.Env[0] = "PATH=/evil"
	if diff := cmp.Diff(want, asJSON(t, spec)); diff != "" {
		t.Error(diff)
	}
}

func TestApplyConcurrently(t *testing.T) {
	adjust := &api.ContainerAdjustment{
		Env: []*api.KeyValue{{Key: "A", Value: "1"}}, Mounts: []*api.Mount{{Destination: "/x", Type: "tmpfs"}},
		Linux: &api.LinuxContainerAdjustment{Devices: []*api.LinuxDevice{{Path: "/dev/x", Type: "c"}}},
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := oci.Apply(base(), adjust); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
