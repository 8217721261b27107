// Package examples tests the example validators: each must do what README.md says, and
// all of them the same.
package examples

import (
	"cmp"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/nri"
	"github.com/nri-guard/nri-guard/engine/policy/wasm"
	"github.com/nri-guard/nri-guard/wasm-examples/go/guest"
)

// example is a line of cases.json.
type example struct {
	Name    string
	Request *api.ValidateContainerAdjustmentRequest
	// Reject is the reason, empty where the request is allowed.
	Reject string
	// Command is what the command says instead, where that is something else: it sees
	// what the guard makes of the request.
	Command string
}

func (e *example) UnmarshalJSON(text []byte) error {
	var raw struct {
		Name    string
		Request json.RawMessage
		Reject  string
		Command string
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	*e = example{Name: raw.Name, Request: &api.ValidateContainerAdjustmentRequest{}, Reject: raw.Reject, Command: raw.Command}
	return protojson.Unmarshal(raw.Request, e.Request)
}

func TestExamples(t *testing.T) {
	for _, language := range []string{"c", "rust", "assemblyscript", "go"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			agrees(t, load(t, wasm.Config{Path: module(t, language)}), false)
		})
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	agrees(t, load(t, wasm.Config{Path: module(t, "command"), Fuel: wasm.MaxFuel}), true)
}

// agrees holds a validator to cases.json. What a command objects to it has one by one,
// and in any order: the review document has changes sorted.
func agrees(t *testing.T, program *wasm.Program, command bool) {
	t.Helper()
	for _, c := range cases(t) {
		want, got := c.Reject, strings.Join(judge(t, program, c.Request), "; ")
		if command {
			want, got = sorted(cmp.Or(c.Command, c.Reject)), sorted(got)
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.Name, diff)
		}
	}
}

func sorted(reasons string) string {
	return strings.Join(slices.Sorted(slices.Values(strings.Split(reasons, "; "))), "; ")
}

// TestReadOnlyIsTheGuards compares what the validators and the guard's own policies
// take for read-only, for options in all orders and spellings. The package guest, on
// which the one in Go is built, runs here as it is.
func TestReadOnlyIsTheGuards(t *testing.T) {
	words := []string{"ro", "rw", "rro", "rrw", "bind", "rbind", "ro,rw", "rw,ro", "rro,rrw", "rrw,rro", "bind,ro", "ro,", ",rw", "rrw,",
		"", "RO", " ro", "ro=recursive", "rrro", "r", "nosuid,nodev"}
	readers := map[string]func(*engine.Review) bool{"guest": readOnlyForGuest}
	for _, language := range []string{"c", "rust", "assemblyscript"} {
		program := load(t, wasm.Config{Path: module(t, language)})
		readers[language] = func(r *engine.Review) bool { return len(program.Judge(context.Background(), r).Violations) == 0 }
	}
	border := &nri.Border{HostRoot: t.TempDir()}
	dice := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		options := make([]string, dice.IntN(5))
		for i := range options {
			options[i] = words[dice.IntN(len(words))]
		}
		review := border.Adjustment(&api.ValidateContainerAdjustmentRequest{Adjust: &api.ContainerAdjustment{
			Mounts: []*api.Mount{{Destination: "/data", Type: "tmpfs", Source: "tmpfs", Options: options}}}})
		want := review.Change("mount:/data").Value.(*engine.Mount).ReadOnly
		for name, reader := range readers {
			if got := reader(review); got != want {
				t.Errorf("options %q: read-only for the guard: %v, for %s: %v", options, want, name, got)
			}
		}
	}
}

func readOnlyForGuest(r *engine.Review) bool {
	request, err := proto.Marshal(r.Messages.(wasm.Requester).ValidateRequest())
	if err != nil {
		return false
	}
	readOnly := false
	_, err = guest.Validator{Judge: func(r *guest.Request) error {
		for m := range r.Adjust().Mounts() {
			readOnly = m.ReadOnly()
		}
		return nil
	}}.Answer(request)
	return readOnly && err == nil
}

// TestGuest is about what the package guest does where it is a module: the same one is
// loaded once for each thing that its configuration has it do.
func TestGuest(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"allow":         "",
		"reject":        "rejected: as configured",
		"fail":          `failed: it answers with an error: "as configured"`,
		"fail_silently": `failed: it answers with an error: "the request could not be judged"`,
		"panic":         "failed: it trapped: unreachable",
	}
	configured := build(t, "c-shared", "go/guest/testdata/configured")
	var configs []wasm.Config
	for does := range want {
		configs = append(configs, wasm.Config{Name: does, Path: configured, Configuration: does, Instances: 1})
	}
	program, err := wasm.Load(context.Background(), configs, wasm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time too, whatever became of the first one's instance
		verdict := program.Judge(context.Background(), (&nri.Border{}).Adjustment(&api.ValidateContainerAdjustmentRequest{}))
		got := map[string]string{"allow": ""}
		for _, f := range verdict.Failures {
			got[f.Policy] += "failed: " + f.Message
		}
		for _, v := range verdict.Violations {
			got[v.Policy] += "rejected: " + v.Message
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

// TestGuestRefusesConfiguration has a module refuse what it is configured with.
func TestGuestRefusesConfiguration(t *testing.T) {
	t.Parallel()
	c := wasm.Config{Name: "configured", Path: build(t, "c-shared", "go/guest/testdata/configured"), Configuration: "bad"}
	_, err := wasm.Load(context.Background(), []wasm.Config{c}, wasm.Options{})
	if err == nil || !strings.HasSuffix(err.Error(), `it answers with an error: "no such setting"`) {
		t.Errorf("error: %v", err)
	}
}

// judge returns what the validator objects to; it must not fail.
func judge(t *testing.T, program *wasm.Program, request *api.ValidateContainerAdjustmentRequest) []string {
	t.Helper()
	verdict := program.Judge(context.Background(), (&nri.Border{HostRoot: t.TempDir()}).Adjustment(request))
	var reasons []string
	for _, f := range verdict.Failures {
		t.Errorf("failure: %s", f.Message)
	}
	for _, v := range verdict.Violations {
		reasons = append(reasons, v.Message)
	}
	return reasons
}

func load(t *testing.T, c wasm.Config) *wasm.Program {
	t.Helper()
	c.Name = "mounts_and_secrets"
	program, err := wasm.Load(context.Background(), []wasm.Config{c}, wasm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func cases(t *testing.T) (list []example) {
	t.Helper()
	text, err := os.ReadFile("cases.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// module is the file that holds a validator.
func module(t *testing.T, language string) string {
	t.Helper()
	mode := map[string]string{"go": "c-shared", "command": "exe"}[language]
	if mode == "" {
		return filepath.Join(language, "mounts_and_secrets.wasm")
	}
	return build(t, mode, language)
}

// build makes a module of Go. The go tool remembers what it has made.
func build(t *testing.T, mode, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mounts_and_secrets.wasm")
	build := exec.Command("go", "build", "-buildmode="+mode, "-o", file, "./"+dir)
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}
