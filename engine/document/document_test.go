package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/internal/reviewtest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func marshal(t *testing.T, r *engine.Review, o Options) []byte {
	t.Helper()
	text, err := Marshal(r, o)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestMarshalGolden(t *testing.T) {
	for name, o := range map[string]Options{
		"rich.json":   {Effective: true},
		"masked.json": {Mask: true, Unmask: []string{"PA*"}, Effective: true},
	} {
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, marshal(t, reviewtest.Rich(), o), "", "  "); err != nil {
			t.Fatal(err)
		}
		golden(t, name, append(pretty.Bytes(), '\n'))
	}
}

// roundTrip reads what was written and writes it again.
func roundTrip(t *testing.T, text []byte, o Options) *engine.Review {
	t.Helper()
	r, err := Unmarshal(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if diff := cmp.Diff(string(text), string(marshal(t, r, o))); diff != "" {
		t.Fatalf("written again (-before +after):\n%s", diff)
	}
	return r
}

func TestRoundTrip(t *testing.T) {
	for _, o := range []Options{{}, {Effective: true}, {Mask: true}} {
		roundTrip(t, marshal(t, reviewtest.Rich(), o), o)
	}
	for seed := range uint64(300) {
		r := reviewtest.Random(rand.New(rand.NewPCG(seed, 1)))
		text := marshal(t, r, Options{})
		if !json.Valid(text) {
			t.Fatalf("seed %d gives no JSON:\n%s", seed, text)
		}
		checkSchema(t, text)
		back := roundTrip(t, text, Options{})
		if len(back.Changes) != len(r.Changes) {
			t.Fatalf("seed %d: %d changes of %d came back", seed, len(back.Changes), len(r.Changes))
		}
	}
}

// What does not stand in the document is derived from it.
func TestUnmarshalRestores(t *testing.T) {
	want := reviewtest.Rich()
	got := roundTrip(t, marshal(t, want, Options{}), Options{})
	if len(got.Changes) != len(want.Changes) {
		t.Fatalf("%d changes, want %d", len(got.Changes), len(want.Changes))
	}
	for i, g := range got.Changes {
		w := want.Changes[i]
		if g.ID != w.ID || g.Position != w.Position || g.ImpliedBy != w.ImpliedBy {
			t.Errorf("change %d is %s, position %d, implied by %q; want %s, %d, %q",
				i, g.ID, g.Position, g.ImpliedBy, w.ID, w.Position, w.ImpliedBy)
		}
		if g.String() != w.String() {
			t.Errorf("change %s is %q, want %q", g.ID, g, w)
		}
		if (g.Value == nil) != (w.Value == nil) || (g.Old == nil) != (w.Old == nil) {
			t.Errorf("change %s has value %v and old %v, want %v and %v", g.ID, g.Value, g.Old, w.Value, w.Old)
		}
		if known := g.Container == want.Container.Id; known != (g.Pod != nil) {
			t.Errorf("change %s of container %q has pod %v", g.ID, g.Container, g.Pod)
		}
	}
	if got.Pod.GetNamespace() != "shop" || got.Strip == nil {
		t.Errorf("pod %v, strip %v", got.Pod, got.Strip != nil)
	}
}

func TestUnmarshalKeepsAbsence(t *testing.T) {
	r := roundTrip(t, marshal(t, &engine.Review{Version: 1, Operation: engine.Synchronize}, Options{}), Options{})
	if r.Pod != nil || r.Container != nil || len(r.Changes) != 0 {
		t.Errorf("got pod %v, container %v, changes %v of a review without any", r.Pod, r.Container, r.Changes)
	}
}

func TestMarshalRefuses(t *testing.T) {
	for _, tt := range []struct {
		change engine.Change
		want   string
	}{
		{engine.Change{ID: "x", Field: "mounts"}, `change "x" is of field "mounts", which does not exist`},
		{engine.Change{ID: "x", Field: engine.MountPoint, Value: "text"}, `change "x": value is of type string`},
		{engine.Change{ID: "x", Field: engine.Env, Old: 1}, `change "x": old is of type int`},
		{engine.Change{ID: "x", Field: engine.Resource, Value: 1.5}, `change "x": value is of type float64`},
	} {
		_, err := Marshal(&engine.Review{Changes: []*engine.Change{&tt.change}}, Options{})
		if err == nil || !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

// TestMost: a document has as many bytes as it may, or there is none, and what is too
// long is not written before that is found.
func TestMost(t *testing.T) {
	r := reviewtest.Rich()
	whole, err := Marshal(r, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for most, want := range map[int]error{1: ErrTooLong, len(whole) / 2: ErrTooLong, len(whole) - 1: ErrTooLong, len(whole): nil} {
		if got, err := Marshal(r, Options{Most: most}); !errors.Is(err, want) || err == nil && !bytes.Equal(got, whole) {
			t.Errorf("at most %d of %d bytes: %d, %v", most, len(whole), len(got), err)
		}
	}
	r.Changes = []*engine.Change{{Field: engine.Annotation, Key: strings.Repeat("\x01", 8<<20), Value: "v"}}
	if n := testing.AllocsPerRun(1, func() { _, err = Marshal(r, Options{Most: 1 << 20}) }); !errors.Is(err, ErrTooLong) || n > 1000 {
		t.Errorf("%v, %v allocations", err, n)
	}
}

// TestAppend: what is appended to stays, and does not count.
func TestAppend(t *testing.T) {
	r := reviewtest.Rich()
	want := marshal(t, r, Options{Mask: true})
	got, err := Append([]byte("begun{"), r, Options{Mask: true, Most: len(want)})
	if diff := cmp.Diff("begun{"+string(want), string(got)); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	for _, c := range r.Changes {
		if got, err = AppendChange([]byte("begun["), c, Options{Mask: true}); err != nil {
			t.Fatal(err)
		}
		change, ok := bytes.CutPrefix(got, []byte("begun["))
		if !ok || !bytes.Contains(want, change) {
			t.Errorf("change %s is written as\n%s", c.ID, got)
		}
		if got, err := AppendChange(nil, c, Options{Mask: true, Most: len(change) - 1}); !errors.Is(err, ErrTooLong) {
			t.Errorf("too long, and written: %s, %v", got, err)
		}
	}
	if _, err := AppendChange(nil, &engine.Change{Field: "nothing"}, Options{}); err == nil {
		t.Error("a change of a field that does not exist was written")
	}
}

// TestText: whatever has to be escaped is, wherever in a text it stands, and nothing else.
func TestText(t *testing.T) {
	w := newWriter(0, Options{})
	for _, length := range []int{1, 7, 8, 9, 16, 19} {
		for at := range length {
			for c := range 256 {
				text := []byte(strings.Repeat("x", length))
				text[at] = byte(c)
				written := w.text(nil, string(text))
				var got string
				if err := json.Unmarshal(written, &got); err != nil || got != Valid(string(text)) {
					t.Fatalf("%q is written as %s: %q, %v", text, written, got, err)
				}
				if escaped := bytes.IndexByte(written, '\\') >= 0; escaped != (c < ' ' || c == '"' || c == '\\') {
					t.Fatalf("%q is written as %s", text, written)
				}
			}
		}
	}
}

// TestMasks: what could be a value is hidden, and of odd entries not more is shown than
// the name.
func TestMasks(t *testing.T) {
	r := &engine.Review{Container: &api.Container{Env: []string{"A=1", "B=2=3", "C", "", "=4", "Q\"\xff=5", "OPEN=6", "OPEN"}}}
	var got struct{ Container struct{ Env []string } }
	if err := json.Unmarshal(marshal(t, r, Options{Mask: true, Unmask: []string{"O*"}}), &got); err != nil {
		t.Fatal(err)
	}
	want := []string{"A=***", "B=***", "***", "***", "=***", "Q\"\uFFFD=***", "OPEN=6", "OPEN"}
	if diff := cmp.Diff(want, got.Container.Env); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// No entry of an object hides another, however they are spelt.
func TestKeys(t *testing.T) {
	for _, tt := range []struct{ names, want []string }{
		{nil, nil},
		{[]string{"a", "b"}, []string{"a", "b"}},
		{[]string{"a", "a", "a"}, []string{"a", "a#2", "a#3"}},
		{[]string{"a", "a", "a#2"}, []string{"a", "a#3", "a#2"}},
		{[]string{"\xff", "\xfe", "\uFFFD"}, []string{"\uFFFD#2", "\uFFFD#3", "\uFFFD"}},
		{[]string{"\xff", "\xfe"}, []string{"\uFFFD", "\uFFFD#2"}},
	} {
		got := Keys(tt.names)
		if !slices.Equal(got, tt.want) {
			t.Errorf("Keys(%q) = %q, want %q", tt.names, got, tt.want)
		}
		for i, key := range got {
			if !isKey(key, Valid(tt.names[i])) {
				t.Errorf("%q is not taken for a key of %q", key, tt.names[i])
			}
		}
	}
	for _, key := range []string{"b", "a#", "a#x", "a#1", "a2"} {
		if isKey(key, "a") {
			t.Errorf("%q is taken for a key of a", key)
		}
	}
}

// emptyContainer is how a review without a container shows it.
const emptyContainer = `{"id":"","podSandboxId":"","name":"","state":"CONTAINER_UNKNOWN","labels":{},"annotations":{},` +
	`"args":[],"env":[],"mounts":[],"pid":0,"rlimits":[],"createdAt":0,"startedAt":0,"finishedAt":0,"exitCode":0,` +
	`"statusReason":"","statusMessage":"","CDIDevices":[]}`

func FuzzUnmarshal(f *testing.F) {
	// Many small documents: the fuzzer spends its time on making large ones smaller.
	for _, c := range reviewtest.Rich().Changes {
		text, err := Marshal(&engine.Review{Version: 1, Operation: engine.Synchronize, Changes: []*engine.Change{c}}, Options{})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.ReplaceAll(text, []byte(emptyContainer), []byte("{}")))
	}
	f.Add([]byte(small))
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Unmarshal(text)
		if err != nil {
			return
		}
		again := marshal(t, r, Options{})
		checkSchema(t, again)
		roundTrip(t, again, Options{})
		marshal(t, r, Options{Effective: true, Mask: true})
		if len(r.Changes) > 0 {
			if _, err := r.Strip(r, []string{r.Changes[0].ID}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// BenchmarkAppend measures the document alone, in a buffer that is used again.
func BenchmarkAppend(b *testing.B) {
	r := reviewtest.Reference()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = Append(buf[:0], r, Options{Mask: true}); err != nil {
			b.Fatal(err)
		}
	}
}
