package rego

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/document"
	"github.com/nri-guard/nri-guard/engine/internal/reviewtest"
)

// viaJSON is the document as JSON says it.
func viaJSON(t testing.TB, r *engine.Review) any {
	t.Helper()
	text, err := document.Marshal(r, document.Options{Effective: true})
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func wantValue(t testing.TB, got ast.Value, doc any) {
	t.Helper()
	want := ast.MustInterfaceToValue(doc)
	if got.Compare(want) == 0 && got.Hash() == want.Hash() {
		return
	}
	lines := func(v ast.Value) string {
		text, err := json.MarshalIndent(ast.MustJSON(v), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	t.Fatalf("not what JSON says (-want +got):\n%s", cmp.Diff(lines(want), lines(got)))
}

func TestEncodeIsTheDocument(t *testing.T) {
	e := newEncoder(nil)
	for _, r := range []*engine.Review{reviewtest.Rich(), reviewtest.Reference(), {Version: 1}, {}} {
		wantValue(t, e.encode(r), viaJSON(t, r))
	}
	for seed := range uint64(300) {
		r := reviewtest.Random(rand.New(rand.NewPCG(seed, 2)))
		wantValue(t, e.encode(r), viaJSON(t, r))
	}
}

func FuzzEncode(f *testing.F) {
	e := newEncoder(nil)
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		r := reviewtest.Random(rand.New(rand.NewPCG(a, b)))
		wantValue(t, e.encode(r), viaJSON(t, r))
	})
}

// What one review left behind does not show in the next, nor in one at a time.
func TestEncodeConcurrently(t *testing.T) {
	e := newEncoder(nil)
	done := make(chan bool)
	for seed := range uint64(8) {
		go func() {
			defer func() { done <- true }()
			for i := range uint64(20) {
				r := reviewtest.Random(rand.New(rand.NewPCG(seed, i)))
				want := ast.MustInterfaceToValue(viaJSON(t, r))
				if got := e.encode(r); got.Compare(want) != 0 {
					t.Errorf("seed %d, %d: not what JSON says", seed, i)
				}
			}
		}()
	}
	for range 8 {
		<-done
	}
}

// prune takes away from a document what no path leads to.
func prune(doc any, paths [][]string) any {
	if slices.ContainsFunc(paths, func(p []string) bool { return len(p) == 0 }) {
		return doc
	}
	below := func(key string, list bool) (rest [][]string) {
		for _, p := range paths {
			if p[0] == "*" || p[0] == key || list {
				rest = append(rest, p[1:])
			}
		}
		return rest
	}
	switch doc := doc.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, v := range doc {
			if rest := below(key, false); rest != nil {
				out[key] = prune(v, rest)
			}
		}
		return out
	case []any:
		out := []any{}
		for _, v := range doc {
			out = append(out, prune(v, below("", true)))
		}
		return out
	}
	return doc
}

func TestEncodePruned(t *testing.T) {
	for _, text := range []string{
		"", "version", "nothing", "pod.namespace", "pod.labels", "pod.labels.app", "pod.labels.*",
		"container.mounts.*.options container.linux.resources.cpu", "container.mounts.0.options container.mounts.1.type",
		"changes", "changes.mount", "changes.mount.*.value.readOnly", "changes.mount.*.value.readOnly changes.mount.*.old",
		"changes.env.LD_PRELOAD", "changes.env.LD_PRELOAD.value changes.env.*.op", "changes.env.*.op changes.env.PATH",
		"changes.*.*.id", "changes.*.*.plugin.name changes.*.*.owners.*.index", "plugins.*.identity.exe plugin", "effective.env",
		"effective", "changes.nothing.*.x", "changes.resource.*.value.x", "*.name", "changes.mount.*.value changes.mount.*.value.readOnly",
	} {
		paths := [][]string{}
		for _, p := range strings.Fields(text) {
			paths = append(paths, strings.Split(p, "."))
		}
		for _, r := range []*engine.Review{reviewtest.Rich(), reviewtest.Reference()} {
			t.Run(text, func(t *testing.T) { wantValue(t, newEncoder(paths).encode(r), prune(viaJSON(t, r), paths)) })
		}
	}
	everything := newEncoder([][]string{{"version"}, {}})
	wantValue(t, everything.encode(reviewtest.Rich()), viaJSON(t, reviewtest.Rich()))
}

// Where there is no document there is no input either.
func TestEncodeRefuses(t *testing.T) {
	for want, c := range map[string]engine.Change{
		`change "x" is of field "mounts", which does not exist`: {ID: "x", Field: "mounts"},
		"value is of type string":                               {ID: "x", Field: engine.MountPoint, Value: "text"},
		"value is of type engine.Mount":                         {ID: "x", Field: engine.DeviceNode, Value: &engine.Mount{}},
		"old is of type int":                                    {ID: "x", Field: engine.Env, Old: 1},
		"value is of type float64":                              {ID: "x", Field: engine.Resource, Value: 1.5},
	} {
		func() {
			defer func() {
				if err, ok := recover().(error); !ok || err.Error() != want {
					t.Errorf("got %v, want %s", err, want)
				}
			}()
			newEncoder(nil).encode(&engine.Review{Changes: []*engine.Change{&c}})
			t.Errorf("%s was encoded", want)
		}()
	}
}

func BenchmarkEncoder(b *testing.B) {
	r := reviewtest.Reference()
	for _, bb := range []struct {
		name  string
		paths [][]string
	}{
		{"everything", nil},
		{"changes", [][]string{{"changes"}}},
		{"read", [][]string{{"changes", "*", "*", "id"}, {"changes", "*", "*", "key"}, {"changes", "*", "*", "op"},
			{"changes", "*", "*", "granted"}, {"changes", "*", "*", "value"}}},
		{"mounts", [][]string{{"changes", "mount"}}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			e := newEncoder(bb.paths)
			b.ReportAllocs()
			for b.Loop() {
				e.encode(r)
			}
		})
	}
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			text, err := document.Marshal(r, document.Options{})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := ast.ValueFromReader(bytes.NewReader(text)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
