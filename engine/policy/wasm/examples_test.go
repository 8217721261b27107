package wasm

import (
	"context"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine"
)

const examples = "../../../wasm-examples"

// languages of the example validators of NRI's convention.
var languages = []string{"c", "rust", "assemblyscript", "go"}

// exampleFile is where a validator is. The one in Go is built first; the go tool
// remembers it.
func exampleFile(tb testing.TB, language string) string {
	tb.Helper()
	if language != "go" {
		return filepath.Join(examples, language, "mounts_and_secrets.wasm")
	}
	file := filepath.Join(tb.TempDir(), "mounts_and_secrets.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", file, "./"+examples+"/go")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	return file
}

// example is one instance of a validator, which is given bytes as they are.
type example struct {
	language string
	module   *module
	in       *instance
}

func newExample(tb testing.TB, language string) *example {
	tb.Helper()
	p, err := Load(context.Background(), []Config{{Name: "example", Path: exampleFile(tb, language)}}, Options{})
	if err != nil {
		tb.Fatal(err)
	}
	e := &example{language: language, module: p.asked[0].module}
	e.renew(tb)
	return e
}

func (e *example) renew(tb testing.TB) {
	tb.Helper()
	if e.in != nil {
		e.in.close()
	}
	var err error
	if e.in, err = e.module.instantiate(); err != nil {
		tb.Fatal(err)
	}
}

// ask returns what the validator makes of a request: "allowed", why it rejects it, or
// how it failed.
func (e *example) ask(request []byte) string {
	verdict := "allowed"
	e.in.begin(context.Background(), MaxFuel)
	defer e.in.end()
	err := e.in.exchange(e.in.validate, request, func(answer []byte) error {
		reject, reason, err := readResponse(answer)
		if reject {
			verdict = "rejected: " + reason
		}
		return err
	})
	if err != nil {
		return "failed: " + err.Error()
	}
	return verdict
}

// exampleRequest is the request that costs are measured with. The validators reject it,
// for two of its mounts.
func exampleRequest(tb testing.TB) []byte {
	tb.Helper()
	text, err := os.ReadFile("../../../cmd/nri-guard/reference.json")
	if err != nil {
		tb.Fatal(err)
	}
	request := &api.ValidateContainerAdjustmentRequest{}
	if err := protojson.Unmarshal(text, request); err != nil {
		tb.Fatal(err)
	}
	data, err := proto.Marshal(request)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// odd are requests that no encoder writes. All examples read protobuf by hand, and
// what a reader does not understand it must not let pass.
var odd = []struct{ name, request, want string }{
	{"nothing", "", "allowed"},
	{"a tag that does not end", "80", malformedRequest},
	{"a tag and nothing", "1a", malformedRequest},
	{"a message longer than the request", "1a051a", malformedRequest},
	{"a length beyond all memory", "1affffffffffffffffff01", malformedRequest},
	{"a length that wraps around", "1a" + "ffffffff0f" + "00", malformedRequest},
	{"a number of eleven bytes", "08" + "ffffffffffffffffffff01", malformedRequest},
	{"a number of more than 64 bits", "08" + "ffffffffffffffffff02", malformedRequest},
	{"a number of 64 bits", "08" + "ffffffffffffffffff01", "allowed"},
	{"field 0", "0200", malformedRequest},
	{"the highest field", "faffffff0f" + "00", "allowed"},
	{"a field number of more than 29 bits", "8280808010" + "00", malformedRequest},
	{"a field number of more than 32 bits", "9a80808080" + "01" + "00", malformedRequest},
	{"a group", "1b1c", malformedRequest},
	{"wire type 7", "1f", malformedRequest},
	{"a fixed number that is cut off", "09" + "01020304050607", malformedRequest},
	{"a short fixed number that is cut off", "0d" + "010203", malformedRequest},
	{"fixed numbers", "390102030405060708" + "3d01020304", "allowed"},
	{"an adjustment that is a number", "1801", malformedRequest},
	{"mounts that are a number", "1a021801", malformedRequest},
	{"variables that are a fixed number", "1a05" + "2501020304", malformedRequest},
	{"a destination that is a number", "1a041a020801", malformedRequest},
	{"an option that is a number", "1a07" + "1a05" + "0a012f" + "2001", malformedRequest},
	{"a name that is a number", "1a042202" + "0801", malformedRequest},
	{"an objection in front of what is malformed", "1a05" + "1a03" + "0a012f" + "80", malformedRequest},
	{"an adjustment in pieces, each cut off", "1a021a04" + "1a040a022f61", malformedRequest},
	{"an adjustment in pieces", "1a05" + "1a03" + "0a012f" + "1a05" + "1a03" + "0a0161", "rejected: mount / is not read-only; mount a is not read-only"},
	{"variables in front of mounts", "1a0c" + "2205" + "0a03" + "504b54" + "1a03" + "0a012f", "rejected: mount / is not read-only"},
	{"the last destination counts", "1a08" + "1a06" + "0a012f" + "0a0161", "rejected: mount a is not read-only"},
	{"the last destination is a removal", "1a08" + "1a06" + "0a012f" + "0a012d", "allowed"},
	{"numbers longer than they need be", "9a808000" + "858000" + "1a03" + "0a012f", "rejected: mount / is not read-only"},
}

const noUTF8 = "failed: the reason is no UTF-8"

const malformedRequest = `failed: it answers with an error: "the request is malformed"`

func TestExamplesReadOddRequests(t *testing.T) {
	for _, language := range languages {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			e := newExample(t, language)
			for _, c := range odd {
				request, err := hex.DecodeString(c.request)
				if err != nil {
					t.Fatal(err)
				}
				if got := e.ask(request); got != c.want {
					t.Errorf("%s: %s, want %s", c.name, got, c.want)
				}
			}
		})
	}
}

// FuzzExamplesAgree gives the same bytes to all examples, which must say the same. Of a
// name that is no UTF-8, which hosts do not send, AssemblyScript makes another one; the
// others hand it back as it is, and the guard takes it for a failure.
func FuzzExamplesAgree(f *testing.F) {
	for _, c := range odd {
		request, err := hex.DecodeString(c.request)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(request)
	}
	f.Add(exampleRequest(f))
	all := make([]*example, len(languages))
	for i, language := range languages {
		all[i] = newExample(f, language)
	}
	asked := 0
	f.Fuzz(func(t *testing.T, request []byte) {
		if len(request) > 4096 { // more takes more fuel than there is, not in each language
			return
		}
		want := all[0].ask(request)
		for _, e := range all[1:] {
			got := e.ask(request)
			if want == noUTF8 && strings.HasPrefix(got, "rejected: ") && e.language == "assemblyscript" {
				continue
			}
			if got != want {
				t.Errorf("%s: %s\n%s: %s", languages[0], want, e.language, got)
			}
		}
		// What a validator that fails was handed is not taken back: it would be thrown away.
		if asked++; asked%500 == 0 {
			for _, e := range all {
				e.renew(t)
			}
		}
	})
}

// TestExamplesKeepTheirMemory asks one instance a hundred thousand times, allowing and
// rejecting: neither its memory nor the host's grows.
func TestExamplesKeepTheirMemory(t *testing.T) {
	const calls = 100_000
	// A garbage collector may take what it likes at first. Go's goes on by a page or two
	// now and then; what leaks here leaks hundreds.
	slack := map[string]uint32{"go": 32}
	for _, language := range languages {
		t.Run(language, func(t *testing.T) {
			e := newExample(t, language)
			requests := map[string][]byte{
				"allowed": []byte("\x1a\x02\x48\x00"),
				"rejected: mount /cache is not read-only; mount /scratch is not read-only": exampleRequest(t),
			}
			var pages uint32
			var host uint64
			for i := range calls / len(requests) {
				for want, request := range requests {
					if got := e.ask(request); got != want {
						t.Fatalf("call %d: %s", i, got)
					}
				}
				if i == calls/len(requests)/2 {
					pages, host = e.in.memory.Size()/pageSize, inUse()
				}
			}
			if now := e.in.memory.Size() / pageSize; now > pages+slack[language] {
				t.Errorf("%d pages after half of the calls, %d at the end", pages, now)
			}
			if now := inUse(); now > host+uint64(slack[language])*pageSize+1<<20 {
				t.Errorf("%d bytes of the host after half of the calls, %d at the end", host, now)
			}
		})
	}
}

// TestCommandKeepsNoMemory runs the example command a hundred times, which is an
// instance each.
func TestCommandKeepsNoMemory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "command.wasm")
	build := exec.Command("go", "build", "-o", file, "./"+examples+"/command")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p, err := Load(t.Context(), []Config{{Name: "command", Path: file, Fuel: MaxFuel, Instances: 1}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &engine.Review{Version: engine.Version, Operation: engine.CreateContainer}
	run := func(n int) uint64 {
		for range n {
			if v := p.Judge(t.Context(), r); len(v.Violations)+len(v.Failures) > 0 {
				t.Fatalf("verdict: %+v", v)
			}
		}
		return inUse()
	}
	before := run(20)
	if after := run(100); after > before+8<<20 { // an instance more or less is in the making
		t.Errorf("%d bytes after 100 more, %d before", after, before)
	}
}

// inUse is the host's memory that is in use when the garbage is gone.
func inUse() uint64 {
	least := ^uint64(0)
	for range 3 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		least = min(least, m.HeapAlloc)
	}
	return least
}
