package engine

import (
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
)

// granting says whether one grant, of a plugin named p, marks one change of p's.
func granting(g Grant, c Change) bool {
	g.Plugin = "p"
	c.Owners = []Plugin{{Name: "p", Index: "10"}}
	if c.Op == "" {
		c.Op = Add
	}
	r := &Review{Changes: []*Change{&c}}
	(&Rules{Grants: []Grant{g}}).mark(r)
	return c.Granted
}

func TestGrantCheck(t *testing.T) {
	one, two := 1.0, 2.0
	for name, tc := range map[string]struct {
		grant Grant
		want  string
	}{
		"no field":                   {Grant{}, `unknown field ""; there are annotation, args, cdiDevice,`},
		"a field that is none":       {Grant{Field: "mounts"}, `unknown field "mounts"; there are annotation,`},
		"an op that is none":         {Grant{Field: Env, Keys: []string{"A"}, Ops: []Op{"delete"}}, `unknown op "delete"; there are add, replace and remove`},
		"a pattern that is none":     {Grant{Field: Env, Keys: []string{"A["}}, `pattern "A[": syntax error in pattern`},
		"no keys":                    {Grant{Field: Env}, "a grant for field env needs keys"},
		"keys of a field without":    {Grant{Field: Seccomp, Keys: []string{"x"}}, "keys means nothing for field seccomp"},
		"a hook without path":        {Grant{Field: OCIHook, Keys: []string{"prestart"}}, "a grant for field hook needs path"},
		"a mount from anywhere":      {Grant{Field: MountPoint}, "a grant for field mount needs keys or sources"},
		"a bind without source":      {Grant{Field: MountPoint, Keys: []string{"/x"}, Types: []string{"bind"}}, "a grant for mounts of type bind needs sources"},
		"a relative source":          {Grant{Field: MountPoint, Sources: []string{"srv"}}, `source "srv" must be an absolute path`},
		"a source that climbs":       {Grant{Field: MountPoint, Sources: []string{"/srv/../etc"}}, `source "/srv/../etc" must be an absolute path`},
		"a score without bounds":     {Grant{Field: OOMScoreAdj}, "a grant for field oomScoreAdj needs min or max"},
		"bounds of a name":           {Grant{Field: Env, Keys: []string{"A"}, Max: &one}, "min and max means nothing for field env"},
		"bounds that cross":          {Grant{Field: Resource, Keys: []string{"a"}, Min: &two, Max: &one}, "min 2 is above max 1"},
		"a device rule without rule": {Grant{Field: DeviceCgroup}, "a grant for field deviceRule needs values"},
		"a device rule that is none": {Grant{Field: DeviceCgroup, Values: []string{"c 1:3"}}, `device rule "c 1:3" must read TYPE MAJOR:MINOR ACCESS`},
		"a command that is not told": {Grant{Field: Args}, "a grant for field args needs args"},
		"a cgroup that is not told":  {Grant{Field: CgroupsPath}, "a grant for field cgroupsPath needs values"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tc.grant.Check(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one that says %q", err, tc.want)
			}
		})
	}
}

func TestGrantHook(t *testing.T) {
	const program = "/opt/x/hook"
	bare := Grant{Field: OCIHook, Keys: []string{"prestart"}, Path: program}
	full := bare
	full.Args = []string{"hook", "--dry-run"}
	full.Env = []string{"A=b"}
	env := []string{"A=b"}
	for name, tc := range map[string]struct {
		grant Grant
		hook  Hook
		want  bool
	}{
		"nothing but the program":         {bare, Hook{Path: program}, true},
		"the program's name":              {bare, Hook{Path: program, Args: []string{"hook"}}, true},
		"the program's path":              {bare, Hook{Path: program, Args: []string{program}}, true},
		"another name":                    {bare, Hook{Path: program, Args: []string{"sh"}}, false},
		"an argument":                     {bare, Hook{Path: program, Args: []string{"hook", "-v"}}, false},
		"a variable":                      {bare, Hook{Path: program, Env: []string{"LD_PRELOAD=x"}}, false},
		"another program":                 {bare, Hook{Path: "/opt/x/hook2"}, false},
		"to the letter":                   {full, Hook{Path: program, Args: full.Args, Env: env}, true},
		"arguments moved up":              {full, Hook{Path: program, Args: full.Args[1:], Env: env}, false},
		"arguments moved down":            {full, Hook{Path: program, Args: []string{"hook", "hook", "--dry-run"}, Env: env}, false},
		"arguments left out":              {full, Hook{Path: program, Env: env}, false},
		"the program's name alone":        {full, Hook{Path: program, Args: full.Args[:1], Env: env}, false},
		"one more argument":               {full, Hook{Path: program, Args: []string{"hook", "--dry-run", "-f"}, Env: env}, false},
		"without its environment":         {full, Hook{Path: program, Args: full.Args}, false},
		"with more than its environment":  {full, Hook{Path: program, Args: full.Args, Env: []string{"A=b", "B=c"}}, false},
		"its environment in other values": {full, Hook{Path: program, Args: full.Args, Env: []string{"A=c"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := granting(tc.grant, Change{Field: OCIHook, Key: "prestart", Value: &tc.hook}); got != tc.want {
				t.Errorf("granted %v, want %v", got, tc.want)
			}
		})
	}
}

func TestGrantBounds(t *testing.T) {
	ten, minusOne := 10.0, -1.0
	limit := Grant{Field: Resource, Keys: []string{"memory.limit"}, Max: &ten}
	unlimited := limit
	unlimited.Min = &minusOne
	score := Grant{Field: OOMScoreAdj, Max: &ten}
	for name, tc := range map[string]struct {
		grant Grant
		value any
		want  bool
	}{
		"up to the bound":             {limit, int64(10), true},
		"none at all":                 {limit, int64(0), true},
		"above it":                    {limit, int64(11), false},
		"without limit":               {limit, int64(-1), false},
		"without limit, as named":     {unlimited, int64(-1), true},
		"below what is named":         {unlimited, int64(-2), false},
		"unsigned":                    {limit, uint64(10), true},
		"unsigned, above":             {limit, uint64(1) << 63, false},
		"text has no bounds":          {limit, "5", false},
		"a score below zero is lower": {score, int64(-5), true},
	} {
		t.Run(name, func(t *testing.T) {
			c := Change{Field: tc.grant.Field, Value: tc.value}
			if c.Field == Resource {
				c.Key = "memory.limit"
			}
			if got := granting(tc.grant, c); got != tc.want {
				t.Errorf("granted %v, want %v", got, tc.want)
			}
		})
	}
}

func TestGrantMount(t *testing.T) {
	readOnly := true
	dir := Grant{Field: MountPoint, Sources: []string{"/srv/models"}, ReadOnly: &readOnly}
	place := Grant{Field: MountPoint, Keys: []string{"/etc/app"}, Sources: []string{"/srv/models"}}
	scratch := Grant{Field: MountPoint, Keys: []string{"/scratch"}}
	disk := Grant{Field: MountPoint, Keys: []string{"/data"}, Sources: []string{"/dev/sdb1"}, Types: []string{"ext4", "nfs"}}
	cgroups := Grant{Field: MountPoint, Keys: []string{"/sys/fs/cgroup"}, Types: []string{"cgroup"}}
	bind := func(source string) Mount { return Mount{Type: "bind", ResolvedSource: source, ReadOnly: true} }
	with := func(m Mount, f func(*Mount)) Mount { f(&m); return m }
	for name, tc := range map[string]struct {
		grant Grant
		key   string
		mount Mount
		want  bool
	}{
		"the source":                   {dir, "/models", bind("/srv/models"), true},
		"below it":                     {dir, "/models", bind("/srv/models/a"), true},
		"beside it":                    {dir, "/models", bind("/srv/models2"), false},
		"above it":                     {dir, "/models", bind("/srv"), false},
		"a source that cannot be told": {dir, "/models", bind("/"), false},
		"writable":                     {dir, "/models", with(bind("/srv/models"), func(m *Mount) { m.ReadOnly = false }), false},
		"shared":                       {dir, "/models", with(bind("/srv/models"), func(m *Mount) { m.Propagation = "rshared" }), false},
		"private":                      {dir, "/models", with(bind("/srv/models"), func(m *Mount) { m.Propagation = "rprivate" }), true},
		"onto a system directory":      {dir, "/usr/lib/app", bind("/srv/models"), false},
		"onto the root":                {dir, "/", bind("/srv/models"), false},
		"onto a place that is named":   {place, "/etc/app", bind("/srv/models"), true},
		"onto the place beside it":     {place, "/etc/app2", bind("/srv/models"), false},
		"layers":                       {dir, "/models", Mount{Type: "overlay", Layers: []string{"/srv/models/a", "/srv/models/b"}, ReadOnly: true}, true},
		"one layer elsewhere":          {dir, "/models", Mount{Type: "overlay", Layers: []string{"/srv/models/a", "/etc"}, ReadOnly: true}, false},
		"layers that nobody knows":     {dir, "/models", Mount{Type: "overlay", ReadOnly: true}, false},
		"another type":                 {dir, "/models", Mount{Type: "tmpfs", ReadOnly: true}, false},
		"tmpfs":                        {scratch, "/scratch", Mount{Type: "tmpfs", Source: "/scratch"}, true},
		"bind where tmpfs is meant":    {scratch, "/scratch", bind("/srv/models"), false},
		"the disk":                     {disk, "/data", Mount{Type: "ext4", Source: "/dev/sdb1"}, true},
		"another disk":                 {disk, "/data", Mount{Type: "ext4", Source: "/dev/sda1"}, false},
		"a disk written otherwise":     {disk, "/data", Mount{Type: "ext4", Source: "/dev/sdb1/../sda1"}, false},
		"cgroups":                      {cgroups, "/sys/fs/cgroup", Mount{Type: "cgroup", Source: "cgroup"}, true},
		"a disk called cgroups":        {cgroups, "/sys/fs/cgroup", Mount{Type: "cgroup", Source: "/dev/sda1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tc.grant.Check(); err != nil {
				t.Fatal(err)
			}
			if got := granting(tc.grant, Change{Field: MountPoint, Key: tc.key, Value: &tc.mount}); got != tc.want {
				t.Errorf("granted %v, want %v", got, tc.want)
			}
		})
	}
}

func TestGrantDevice(t *testing.T) {
	gpu := Grant{Field: DeviceNode, Keys: []string{"/dev/nvidia*"}}
	null := Grant{Field: DeviceNode, Keys: []string{"/dev/nri-null"}, HostPaths: []string{"/dev/null"}}
	for name, tc := range map[string]struct {
		grant Grant
		key   string
		nodes []string
		want  bool
	}{
		"the host's":                         {gpu, "/dev/nvidia0", []string{"/dev/nvidia0"}, true},
		"another one by its name":            {gpu, "/dev/nvidia0", []string{"/dev/sda"}, false},
		"one that also is another":           {gpu, "/dev/nvidia0", []string{"/dev/nvidia0", "/dev/sda"}, false},
		"one that the host does not have":    {gpu, "/dev/nvidia0", nil, false},
		"its name elsewhere":                 {gpu, "/dev/x/nvidia0", []string{"/dev/nvidia0"}, false},
		"under another name, as granted":     {null, "/dev/nri-null", []string{"/dev/null"}, true},
		"under the host's name, not granted": {null, "/dev/null", []string{"/dev/null"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := Change{Field: DeviceNode, Key: tc.key, Value: &Device{Type: "c", Major: 1, Minor: 3, HostPaths: tc.nodes}}
			if got := granting(tc.grant, c); got != tc.want {
				t.Errorf("granted %v, want %v", got, tc.want)
			}
		})
	}
}

func TestGrantOpsAndOwners(t *testing.T) {
	env := Grant{Plugin: "p", Field: Env, Keys: []string{"APP_*"}}
	removal := env
	removal.Ops = []Op{Remove}
	p, q := Plugin{Name: "p", Index: "10"}, Plugin{Name: "q", Index: "20"}
	for name, tc := range map[string]struct {
		grant     Grant
		op        Op
		owners    []Plugin
		consulted []Plugin
		want      bool
	}{
		"added":                                {env, Add, []Plugin{p}, nil, true},
		"replaced":                             {env, Replace, []Plugin{p}, nil, true},
		"taken away":                           {env, Remove, []Plugin{p}, nil, false},
		"taken away, as named":                 {removal, Remove, []Plugin{p}, nil, true},
		"added, when only removal is":          {removal, Add, []Plugin{p}, nil, false},
		"by another plugin":                    {env, Add, []Plugin{q}, nil, false},
		"by both":                              {env, Add, []Plugin{p, q}, nil, false},
		"by nobody, one consulted":             {env, Add, nil, []Plugin{p}, true},
		"by nobody, two consulted":             {env, Add, nil, []Plugin{p, q}, false},
		"by nobody, nobody consulted":          {env, Add, nil, nil, false},
		"by another instance of the same name": {env, Add, []Plugin{{Name: "p", Index: "99"}}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := &Change{Field: Env, Key: "APP_MODE", Op: tc.op, Owners: tc.owners}
			if tc.op != Remove {
				c.Value = "x"
			}
			(&Rules{Grants: []Grant{tc.grant}}).mark(&Review{Changes: []*Change{c}, Plugins: tc.consulted})
			if c.Granted != tc.want {
				t.Errorf("granted %v, want %v", c.Granted, tc.want)
			}
		})
	}
}

func TestGrantNamespacesAndIdentity(t *testing.T) {
	root := int64(0)
	grant := Grant{Plugin: "p", Field: Env, Keys: []string{"APP_MODE"}, Namespaces: []string{"ml-*"},
		Identity: &IdentityMatch{Exe: "/opt/nri/plugins/10-p", SHA256: "00FF", UID: &root}}
	known := &Identity{Exe: "/opt/nri/plugins/10-p", SHA256: "00ff"}
	pod := func(ns string) *api.PodSandbox { return &api.PodSandbox{Namespace: ns} }
	for name, tc := range map[string]struct {
		pod      *api.PodSandbox
		identity *Identity
		want     bool
	}{
		"as demanded":       {pod("ml-a"), known, true},
		"another namespace": {pod("shop"), known, false},
		"no namespace":      {pod(""), known, false},
		"an unknown pod":    {nil, known, false},
		"nothing observed":  {pod("ml-a"), nil, false},
		"another program":   {pod("ml-a"), &Identity{Exe: "/tmp/p", SHA256: "00ff"}, false},
		"another digest":    {pod("ml-a"), &Identity{Exe: known.Exe, SHA256: "11ff"}, false},
		"another user":      {pod("ml-a"), &Identity{Exe: known.Exe, SHA256: "00ff", UID: 1000}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := &Change{Field: Env, Key: "APP_MODE", Op: Add, Value: "x", Pod: tc.pod,
				Owners: []Plugin{{Name: "p", Index: "10", Identity: tc.identity}}}
			(&Rules{Grants: []Grant{grant}}).mark(&Review{Changes: []*Change{c}})
			if c.Granted != tc.want {
				t.Errorf("granted %v, want %v", c.Granted, tc.want)
			}
		})
	}
}
