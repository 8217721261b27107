package engine

import (
	"testing"

	"github.com/containerd/nri/pkg/api"
)

func TestGrantDeviceRule(t *testing.T) {
	number := func(n int64) *int64 { return &n }
	some := Grant{Field: DeviceCgroup, Values: []string{"c 195:* rw", "b 8:0 r"}}
	for name, tc := range map[string]struct {
		rule DeviceRule
		want bool
	}{
		"the rule":                {DeviceRule{Allow: true, Type: "b", Major: number(8), Minor: number(0), Access: "r"}, true},
		"one of the numbers":      {DeviceRule{Allow: true, Type: "c", Major: number(195), Minor: number(3), Access: "rw"}, true},
		"all of the numbers":      {DeviceRule{Allow: true, Type: "c", Major: number(195), Access: "wr"}, true},
		"less access":             {DeviceRule{Allow: true, Type: "c", Major: number(195), Minor: number(3), Access: "r"}, true},
		"more access":             {DeviceRule{Allow: true, Type: "c", Major: number(195), Minor: number(3), Access: "rwm"}, false},
		"access in the middle":    {DeviceRule{Allow: true, Type: "c", Major: number(195), Access: "rmw"}, false},
		"access of two rules":     {DeviceRule{Allow: true, Type: "b", Major: number(8), Minor: number(0), Access: "rw"}, false},
		"another number":          {DeviceRule{Allow: true, Type: "b", Major: number(8), Minor: number(1), Access: "r"}, false},
		"more numbers":            {DeviceRule{Allow: true, Type: "b", Major: number(8), Access: "r"}, false},
		"every number":            {DeviceRule{Allow: true, Type: "c", Access: "r"}, false},
		"every number, as runc's": {DeviceRule{Allow: true, Type: "c", Major: number(-1), Minor: number(-1), Access: "r"}, false},
		"another type":            {DeviceRule{Allow: true, Type: "b", Major: number(195), Access: "r"}, false},
		"every type":              {DeviceRule{Allow: true, Type: "a", Major: number(195), Access: "r"}, false},
		"every type, unsaid":      {DeviceRule{Allow: true, Major: number(195), Access: "r"}, false},
		"taking access away":      {DeviceRule{Type: "c", Major: number(195), Access: "rw"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := some.Check(); err != nil {
				t.Fatal(err)
			}
			if got := granting(some, Change{Field: DeviceCgroup, Value: &tc.rule}); got != tc.want {
				t.Errorf("granted %v, want %v", got, tc.want)
			}
		})
	}
}

func TestParseDeviceRule(t *testing.T) {
	for _, text := range []string{"a *:* rwm", "c 1:3 r", "b -1:0 m"} {
		if rule, err := parseDeviceRule(text); err != nil || text != "b -1:0 m" && rule.String() != text {
			t.Errorf("%q is read as %v, %v", text, rule, err)
		}
	}
	for _, text := range []string{"", "c", "c 1:3", "c 1 r", "c 1:x r", "c x:1 r", "u 1:3 r", "C 1:3 r", "c 1:3 rx", "c 1:3 r w", "c 1:2:3 r", "c :3 r", "c 99999999999999999999:1 r"} {
		if rule, err := parseDeviceRule(text); err == nil {
			t.Errorf("%q is read as %v", text, rule)
		}
	}
}

// The rule that the runtime adds for a device is granted with it, and no other.
func TestGrantImpliedRule(t *testing.T) {
	number := func(n int64) *int64 { return &n }
	rule := func(major int64) *DeviceRule {
		return &DeviceRule{Allow: true, Type: "c", Major: number(major), Minor: number(0), Access: "rwm"}
	}
	for name, tc := range map[string]struct {
		rule Change
		want bool
	}{
		"the device's":          {Change{ImpliedBy: "/dev/nvidia0", Value: rule(195)}, true},
		"a plugin's own":        {Change{Value: rule(195)}, false},
		"another device's":      {Change{ImpliedBy: "/dev/sda", Value: rule(8)}, false},
		"of other numbers":      {Change{ImpliedBy: "/dev/nvidia0", Value: rule(8)}, false},
		"of all numbers":        {Change{ImpliedBy: "/dev/nvidia0", Value: &DeviceRule{Allow: true, Type: "c", Access: "rwm"}}, false},
		"of another type":       {Change{ImpliedBy: "/dev/nvidia0", Value: &DeviceRule{Allow: true, Type: "b", Major: number(195), Minor: number(0)}}, false},
		"in another container":  {Change{ImpliedBy: "/dev/nvidia0", Value: rule(195), Container: "other"}, false},
		"of a type that is odd": {Change{ImpliedBy: "/dev/nvidia0", Value: "c 195:0 rwm"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := []Plugin{{Name: "p"}}
			device := func(key string, major int64) *Change {
				return &Change{Op: Add, Field: DeviceNode, Key: key, Owners: p, Value: &Device{Type: "c", Major: major, HostPaths: []string{key}}}
			}
			tc.rule.Op, tc.rule.Field, tc.rule.Owners = Add, DeviceCgroup, p
			r := &Review{Changes: []*Change{device("/dev/nvidia0", 195), device("/dev/sda", 8), &tc.rule}}
			(&Rules{Grants: []Grant{{Plugin: "p", Field: DeviceNode, Keys: []string{"/dev/nvidia*"}}}}).mark(r)
			if tc.rule.Granted != tc.want || r.Changes[1].Granted {
				t.Errorf("granted %v, want %v; the other device %v", tc.rule.Granted, tc.want, r.Changes[1].Granted)
			}
		})
	}
}

// What else can be granted, and what a value must be for it.
func TestGrantFields(t *testing.T) {
	ten := 10.0
	remove := []Op{Remove}
	models := []string{"/opt/models"}
	for name, tc := range map[string]struct {
		grant  Grant
		change Change
		want   bool
	}{
		"annotation":                      {Grant{Keys: []string{"a.b/*"}}, Change{Field: Annotation, Key: "a.b/c", Value: "x"}, true},
		"annotation, star at a slash":     {Grant{Keys: []string{"a.b*"}}, Change{Field: Annotation, Key: "a.b/c", Value: "x"}, false},
		"env of a value":                  {Grant{Keys: []string{"A"}, Values: []string{"/opt/*"}}, Change{Field: Env, Key: "A", Value: "/opt/x/y"}, true},
		"env of another value":            {Grant{Keys: []string{"A"}, Values: []string{"/opt/*"}}, Change{Field: Env, Key: "A", Value: "/usr"}, false},
		"env of another name":             {Grant{Keys: []string{"A"}}, Change{Field: Env, Key: "AB", Value: "x"}, false},
		"sysctl":                          {Grant{Keys: []string{"net.*"}, Values: []string{"1"}}, Change{Field: Sysctl, Key: "net.a", Value: "1"}, true},
		"sysctl of another value":         {Grant{Keys: []string{"net.*"}, Values: []string{"1"}}, Change{Field: Sysctl, Key: "net.a", Value: "11"}, false},
		"args":                            {Grant{Args: []string{"a", "b"}}, Change{Field: Args, Value: []string{"a", "b"}}, true},
		"more args":                       {Grant{Args: []string{"a", "b"}}, Change{Field: Args, Value: []string{"a", "b", "c"}}, false},
		"args joined":                     {Grant{Args: []string{"a", "b"}}, Change{Field: Args, Value: []string{"a b"}}, false},
		"cgroup":                          {Grant{Values: []string{"/x/*"}}, Change{Field: CgroupsPath, Value: "/x/y"}, true},
		"another cgroup":                  {Grant{Values: []string{"/x/*"}}, Change{Field: CgroupsPath, Value: "/y"}, false},
		"CDI device":                      {Grant{Keys: []string{"nvidia.com/gpu=*"}}, Change{Field: CDI, Key: "nvidia.com/gpu=0", Value: &CDIDevice{}}, true},
		"CDI device of another class":     {Grant{Keys: []string{"nvidia.com/gpu=*"}}, Change{Field: CDI, Key: "nvidia.com/nic=0", Value: &CDIDevice{}}, false},
		"a new namespace":                 {Grant{Keys: []string{"ipc"}}, Change{Field: Namespaces, Key: "ipc", Value: &Namespace{}}, true},
		"a namespace to join":             {Grant{Keys: []string{"ipc"}, Path: "/n"}, Change{Field: Namespaces, Key: "ipc", Value: &Namespace{Path: "/n"}}, true},
		"another namespace to join":       {Grant{Keys: []string{"ipc"}}, Change{Field: Namespaces, Key: "ipc", Value: &Namespace{Path: "/proc/1/ns/ipc"}}, false},
		"net device":                      {Grant{Keys: []string{"eth1"}, Values: []string{"net0"}}, Change{Field: NetDevice, Key: "eth1", Value: &api.LinuxNetDevice{Name: "net0"}}, true},
		"net device of another name":      {Grant{Keys: []string{"eth1"}, Values: []string{"net0"}}, Change{Field: NetDevice, Key: "eth1", Value: &api.LinuxNetDevice{Name: "eth0"}}, false},
		"rlimit":                          {Grant{Keys: []string{"RLIMIT_CORE"}, Max: &ten}, Change{Field: POSIXRlimit, Key: "RLIMIT_CORE", Value: &Rlimit{Hard: 10, Soft: 1}}, true},
		"rlimit, hard too high":           {Grant{Keys: []string{"RLIMIT_CORE"}, Max: &ten}, Change{Field: POSIXRlimit, Key: "RLIMIT_CORE", Value: &Rlimit{Hard: 11, Soft: 1}}, false},
		"rlimit, soft too low":            {Grant{Keys: []string{"RLIMIT_CORE"}, Min: &ten}, Change{Field: POSIXRlimit, Key: "RLIMIT_CORE", Value: &Rlimit{Hard: 11, Soft: 9}}, false},
		"resource as text":                {Grant{Keys: []string{"cpu.cpus"}, Values: []string{"0-3"}}, Change{Field: Resource, Key: "cpu.cpus", Value: "0-3"}, true},
		"resource as a number":            {Grant{Keys: []string{"cpu.shares"}, Values: []string{"2"}}, Change{Field: Resource, Key: "cpu.shares", Value: uint64(2)}, true},
		"resource as a switch":            {Grant{Keys: []string{"memory.disableOomKiller"}, Values: []string{"false"}}, Change{Field: Resource, Key: "memory.disableOomKiller", Value: false}, true},
		"resource switched on":            {Grant{Keys: []string{"memory.disableOomKiller"}, Values: []string{"false"}}, Change{Field: Resource, Key: "memory.disableOomKiller", Value: true}, false},
		"a switch has no bounds":          {Grant{Keys: []string{"memory.disableOomKiller"}, Max: &ten}, Change{Field: Resource, Key: "memory.disableOomKiller", Value: true}, false},
		"scheduler":                       {Grant{Values: []string{"SCHED_BATCH"}}, Change{Field: Scheduler, Value: &api.LinuxScheduler{Policy: api.LinuxSchedulerPolicy_SCHED_BATCH}}, true},
		"another scheduler":               {Grant{Values: []string{"SCHED_BATCH"}}, Change{Field: Scheduler, Value: &api.LinuxScheduler{Policy: api.LinuxSchedulerPolicy_SCHED_FIFO}}, false},
		"I/O priority":                    {Grant{Values: []string{"IOPRIO_CLASS_BE"}}, Change{Field: IOPriority, Value: &api.LinuxIOPriority{Class: api.IOPrioClass_IOPRIO_CLASS_BE}}, true},
		"another I/O priority":            {Grant{Values: []string{"IOPRIO_CLASS_BE"}}, Change{Field: IOPriority, Value: &api.LinuxIOPriority{Class: api.IOPrioClass_IOPRIO_CLASS_RT}}, false},
		"RDT":                             {Grant{Values: []string{"gold"}}, Change{Field: RDT, Value: &api.LinuxRdt{ClosId: api.String("gold")}}, true},
		"another RDT class":               {Grant{Values: []string{"gold"}}, Change{Field: RDT, Value: &api.LinuxRdt{}}, false},
		"memory policy":                   {Grant{Values: []string{"MPOL_BIND"}}, Change{Field: MemoryPolicy, Value: &api.LinuxMemoryPolicy{Mode: api.MpolMode_MPOL_BIND}}, true},
		"another memory policy":           {Grant{Values: []string{"MPOL_BIND"}}, Change{Field: MemoryPolicy, Value: &api.LinuxMemoryPolicy{}}, false},
		"seccomp listener":                {Grant{Values: []string{"/run/x"}}, Change{Field: Seccomp, Value: &api.LinuxSeccomp{ListenerPath: "/run/x"}}, true},
		"no seccomp listener":             {Grant{Values: []string{"/run/x"}}, Change{Field: Seccomp, Value: &api.LinuxSeccomp{}}, false},
		"eviction":                        {Grant{Keys: []string{"*"}}, Change{Field: Eviction, Key: "c0", Value: "why"}, true},
		"a field that nobody knows":       {Grant{Keys: []string{"adjust.99"}}, Change{Field: Unknown, Key: "adjust.99", Value: int64(3)}, true},
		"another that nobody knows":       {Grant{Keys: []string{"adjust.99"}}, Change{Field: Unknown, Key: "adjust.98", Value: int64(3)}, false},
		"a value of no known type":        {Grant{Keys: []string{"A"}}, Change{Field: Env, Key: "A", Value: 1.5}, false},
		"no value at all":                 {Grant{Keys: []string{"A"}}, Change{Field: Env, Key: "A"}, false},
		"removal of a mount by its place": {Grant{Keys: []string{"/data"}, Ops: remove}, Change{Op: Remove, Field: MountPoint, Key: "/data", Old: &Mount{Type: "bind"}}, true},
		"removal of a mount by its source": {Grant{Sources: models, Ops: remove},
			Change{Op: Remove, Field: MountPoint, Key: "/data", Old: &Mount{Type: "bind", ResolvedSource: "/opt/models"}}, true},
		"removal of a mount of another source": {Grant{Sources: models, Ops: remove},
			Change{Op: Remove, Field: MountPoint, Key: "/data", Old: &Mount{Type: "bind", ResolvedSource: "/opt/models-evil"}}, false},
		"removal of a system mount": {Grant{Sources: models, Ops: remove},
			Change{Op: Remove, Field: MountPoint, Key: "/proc", Old: &Mount{Type: "proc"}}, false},
		"removal of a mount unseen": {Grant{Sources: models, Ops: remove}, Change{Op: Remove, Field: MountPoint, Key: "/data"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			tc.grant.Field = tc.change.Field
			if err := tc.grant.Check(); err != nil {
				t.Fatal(err)
			}
			if got := granting(tc.grant, tc.change); got != tc.want {
				t.Errorf("granted %v, want %v", got, tc.want)
			}
		})
	}
}

// A grant for one field says nothing of another.
func TestGrantOtherField(t *testing.T) {
	g := Grant{Plugin: "p", Field: Annotation, Keys: []string{"A"}}
	c := &Change{Op: Add, Field: Env, Key: "A", Value: "x", Owners: []Plugin{{Name: "p"}}}
	(&Rules{Grants: []Grant{g}}).mark(&Review{Changes: []*Change{c}})
	if c.Granted {
		t.Error("an annotation's grant lifts a variable")
	}
}

func TestChangeString(t *testing.T) {
	long := string(make([]byte, 100))
	for _, tc := range []struct {
		change Change
		want   string
	}{
		{Change{Op: Add, Field: Env, Key: "A", Value: "secret"}, "add env A"},
		{Change{Op: Remove, Field: MountPoint, Key: "/x", Old: &Mount{}}, "remove mount /x"},
		{Change{Op: Add, Field: MountPoint, Key: "/x", Value: &Mount{Type: "tmpfs", ReadOnly: true}}, "add mount /x (tmpfs, read-only)"},
		{Change{Op: Replace, Field: MountPoint, Key: "/x", Value: &Mount{Type: "bind", Source: "/a", ResolvedSource: "/b"}}, "replace mount /x (bind from /a = /b, writable)"},
		{Change{Op: Add, Field: OCIHook, Key: "prestart", Value: &Hook{Path: "/h", Args: []string{"h", "x"}, Env: []string{"A=b"}}}, "add hook prestart (/h h x)"},
		{Change{Op: Add, Field: DeviceNode, Key: "/dev/x", Value: &Device{Type: "c", Major: 1, Minor: 3}}, "add device /dev/x (c 1:3)"},
		{Change{Op: Add, Field: DeviceCgroup, Value: &DeviceRule{Access: "r"}}, "add deviceRule (deny a *:* r)"},
		{Change{Op: Add, Field: POSIXRlimit, Key: "RLIMIT_CORE", Value: &Rlimit{Hard: 2, Soft: 1}}, "add rlimit RLIMIT_CORE (soft 1, hard 2)"},
		{Change{Op: Add, Field: Namespaces, Key: "ipc", Value: &Namespace{Path: "/n"}}, "add namespace ipc (/n)"},
		{Change{Op: Add, Field: Namespaces, Key: "ipc", Value: &Namespace{}}, "add namespace ipc"},
		{Change{Op: Add, Field: NetDevice, Key: "eth1", Value: &api.LinuxNetDevice{Name: "net0"}}, "add netDevice eth1 (net0)"},
		{Change{Op: Add, Field: CDI, Key: "v/c=0", Value: &CDIDevice{}}, "add cdiDevice v/c=0"},
		{Change{Op: Replace, Field: Args, Value: []string{"a", "b"}}, "replace args (a b)"},
		{Change{Op: Add, Field: Annotation, Key: "a", Value: "x\n"}, `add annotation a ("x\n")`},
		{Change{Op: Add, Field: Annotation, Key: "a", Value: long}, `add annotation a ("` + zeros(80) + `"...)`},
		{Change{Op: Add, Field: Resource, Key: "cpu.shares", Value: uint64(2)}, "add resource cpu.shares (2)"},
	} {
		if got := tc.change.String(); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func zeros(n int) (s string) {
	for range n {
		s += `\x00`
	}
	return s
}

// The fields are listed in the order that reviews and documents have them in.
func TestFieldsAreSorted(t *testing.T) {
	list := Fields()
	for i := 1; i < len(list); i++ {
		if list[i-1].Field >= list[i].Field {
			t.Errorf("%s comes before %s", list[i-1].Field, list[i].Field)
		}
	}
	for _, op := range Operations() {
		if op == "" {
			t.Error("an operation without a name")
		}
	}
}
