package tests

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/encoding/protojson"
	"sigs.k8s.io/yaml"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
	"github.com/nri-guard/nri-guard/engine/policy"
)

// TestGrantsOfKnownPlugins loads every file of docs/grants and judges by it what
// the plugin asks for, and what stands next to that, as testdata/grants/PLUGIN has
// it: allowed-*.yaml and denied-*.yaml. The comment at the head of a request to be denied
// says which changes are not granted, and which policies of baseline object.
func TestGrantsOfKnownPlugins(t *testing.T) {
	files, err := filepath.Glob("../docs/grants/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no grants found: %v", err)
	}
	host := newHost(t)
	for _, file := range files {
		plugin := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(plugin, func(t *testing.T) {
			restricted, baseline := load(t, file, policy.Restricted), load(t, file, policy.Baseline)
			requests, _ := filepath.Glob(filepath.Join("testdata/grants", plugin, "*.yaml"))
			var allowed, denied int
			for _, name := range requests {
				c := readCase(t, name)
				if c.denied == nil {
					allowed++
				} else {
					denied++
				}
				t.Run(strings.TrimSuffix(filepath.Base(name), ".yaml"), func(t *testing.T) {
					host.needs(t, c.request)
					c.judge(t, host, restricted, baseline)
				})
			}
			if allowed == 0 || denied == 0 {
				t.Errorf("%d requests to be allowed and %d to be denied; there must be both", allowed, denied)
			}
		})
	}
}

// TestGrantCasesHaveGrants finds requests that nothing judges.
func TestGrantCasesHaveGrants(t *testing.T) {
	dirs, err := os.ReadDir("testdata/grants")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if _, err := os.Stat(filepath.Join("../docs/grants", d.Name()+".yaml")); err != nil {
			t.Errorf("requests without grants: %v", err)
		}
	}
}

// load reads a configuration and makes an engine that enforces a profile by it.
func load(t *testing.T, file, profile string) *engine.Engine {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Version int             `yaml:"version"`
		Policy  policy.Policies `yaml:"policy"`
		Plugins []policy.Plugin `yaml:"plugins"`
	}
	at, err := policy.Decode(file, data, &config)
	if err != nil {
		t.Fatal(err)
	}
	if config.Version != 1 || config.Policy.Profile.Enforce != policy.Restricted {
		t.Errorf("%s is no configuration of version 1 that enforces restricted", file)
	}
	config.Policy.Profile.Enforce = profile
	set, err := policy.Load(context.Background(), policy.Config{Policy: config.Policy, Plugins: config.Plugins, At: at})
	if err != nil {
		t.Fatal(err)
	}
	return engine.New(set.Rules())
}

// grantCase is one request and what must come of it.
type grantCase struct {
	request *api.ValidateContainerAdjustmentRequest
	// denied are the ids of the changes that nothing grants, nil where the request
	// is to be allowed.
	denied []string
	// baseline are the policies of baseline that object.
	baseline []string
}

func readCase(t *testing.T, name string) grantCase {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	c := grantCase{request: &api.ValidateContainerAdjustmentRequest{}}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ": ")
		switch key {
		case "# denied":
			c.denied = strings.Split(value, ", ")
		case "# baseline":
			if value != "allowed" {
				c.baseline = strings.Split(value, ", ")
			}
		}
	}
	if want := strings.HasPrefix(filepath.Base(name), "denied-"); want != (c.denied != nil) {
		t.Errorf("%s: the name and the head say different things", name)
	}
	raw, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := protojson.Unmarshal(raw, c.request); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return c
}

func (c *grantCase) judge(t *testing.T, h host, restricted, baseline *engine.Engine) {
	t.Helper()
	border := &nri.Border{HostRoot: h.root, Lookup: others}
	d := restricted.Decide(context.Background(), border.Adjustment(c.request))
	var ungranted []string
	for _, v := range d.Violations {
		if v.Policy == "ungranted_changes" {
			ungranted = append(ungranted, v.Change)
		}
	}
	if diff := cmp.Diff(c.denied, ungranted); diff != "" {
		t.Errorf("restricted: changes that are not granted (-want +got):\n%s", diff)
	}
	check(t, "restricted", d, c.denied == nil)

	d = baseline.Decide(context.Background(), border.Adjustment(c.request))
	var objecting []string
	for _, v := range d.Violations {
		objecting = append(objecting, v.Policy)
	}
	if diff := cmp.Diff(c.baseline, slices.Compact(objecting)); diff != "" {
		t.Errorf("baseline: policies that object (-want +got):\n%s", diff)
	}
	check(t, "baseline", d, c.baseline == nil)
}

func check(t *testing.T, profile string, d *engine.Decision, allowed bool) {
	t.Helper()
	if len(d.Failures) > 0 {
		t.Errorf("%s: failures: %v", profile, d.Failures)
	}
	if d.Allowed != allowed {
		t.Errorf("%s: allowed %v, want %v: %s", profile, d.Allowed, allowed, strings.Join(d.Reasons(), "; "))
	}
}

// others knows one container besides the one that is created.
func others(id string) (*api.PodSandbox, *api.Container) {
	if id != "decade" {
		return nil, nil
	}
	return &api.PodSandbox{Id: "b0a710ad", Namespace: "default"}, &api.Container{Id: id, PodSandboxId: "b0a710ad"}
}

// host is a root with the device nodes that the requests name.
type host struct {
	root string
	// err says why there are no nodes.
	err error
}

func newHost(t *testing.T) host {
	t.Helper()
	h := host{root: t.TempDir()}
	for _, node := range []struct {
		path         string
		kind         uint32
		major, minor uint32
	}{
		{"dev/null", unix.S_IFCHR, 1, 3},
		{"dev/mem", unix.S_IFCHR, 1, 1},
		{"dev/sda", unix.S_IFBLK, 8, 0},
		{"dev/infiniband/uverbs0", unix.S_IFCHR, 231, 192},
	} {
		at := filepath.Join(h.root, node.path)
		err := os.MkdirAll(filepath.Dir(at), 0o755)
		if err == nil {
			err = unix.Mknod(at, node.kind|0o600, int(unix.Mkdev(node.major, node.minor)))
		}
		h.err = errors.Join(h.err, err)
	}
	if h.err != nil && !errors.Is(h.err, fs.ErrPermission) {
		t.Fatal(h.err)
	}
	return h
}

// needs skips a test whose request is about devices where one may make no nodes.
func (h host) needs(t *testing.T, r *api.ValidateContainerAdjustmentRequest) {
	t.Helper()
	if h.err != nil && len(r.GetAdjust().GetLinux().GetDevices()) > 0 {
		t.Skipf("device nodes can be made by root only: %v", h.err)
	}
}
