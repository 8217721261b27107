package input

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/document"
	"github.com/nri-guard/nri-guard/engine/internal/reviewtest"
	"github.com/nri-guard/nri-guard/engine/policy/rego/internal/plan"
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

// whole is all of the document.
func whole(t testing.TB, r *engine.Review) ast.Value {
	t.Helper()
	in, err := New(r, false)
	if err != nil {
		t.Fatal(err)
	}
	return plan.Solid(in.Term()).Value
}

func TestInputIsTheDocument(t *testing.T) {
	for _, r := range []*engine.Review{reviewtest.Rich(), reviewtest.Reference(), {Version: 1}, {}} {
		wantValue(t, whole(t, r), viaJSON(t, r))
	}
	for seed := range uint64(300) {
		r := reviewtest.Random(rand.New(rand.NewPCG(seed, 2)))
		wantValue(t, whole(t, r), viaJSON(t, r))
	}
}

func FuzzInput(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		r := reviewtest.Random(rand.New(rand.NewPCG(a, b)))
		wantValue(t, whole(t, r), viaJSON(t, r))
	})
}

// What one review left behind does not show in the next, nor in one at a time.
func TestInputConcurrently(t *testing.T) {
	done := make(chan bool)
	for seed := range uint64(8) {
		go func() {
			defer func() { done <- true }()
			for i := range uint64(20) {
				r := reviewtest.Random(rand.New(rand.NewPCG(seed, i)))
				want := ast.MustInterfaceToValue(viaJSON(t, r))
				in, err := New(r, false)
				if err != nil {
					t.Error(err)
					return
				}
				if got := plan.Solid(in.Term()).Value; got.Compare(want) != 0 {
					t.Errorf("seed %d, %d: not what JSON says", seed, i)
				}
				in.Release()
			}
		}()
	}
	for range 8 {
		<-done
	}
}

// Where there is no document there is no input either.
func TestNewRefuses(t *testing.T) {
	for want, c := range map[string]engine.Change{
		`change "x" is of field "mounts", which does not exist`: {ID: "x", Field: "mounts"},
		`change "x": value is of type string`:                   {ID: "x", Field: engine.MountPoint, Value: "text"},
		`change "x": value is of type engine.Mount`:             {ID: "x", Field: engine.DeviceNode, Value: &engine.Mount{}},
		`change "x": old is of type int`:                        {ID: "x", Field: engine.Env, Old: 1},
		`change "x": value is of type float64`:                  {ID: "x", Field: engine.Resource, Value: 1.5},
	} {
		if _, err := New(&engine.Review{Changes: []*engine.Change{&c}}, false); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestPartsOfIt: what is looked at one by one is what all of it is.
func TestPartsOfIt(t *testing.T) {
	for seed := range uint64(100) {
		r := reviewtest.Random(rand.New(rand.NewPCG(seed, 3)))
		in, err := New(r, false)
		if err != nil {
			t.Fatal(err)
		}
		all := whole(t, r)
		rng := rand.New(rand.NewPCG(seed, 4))
		var visit func(path ast.Ref, want ast.Value)
		visit = func(path ast.Ref, want ast.Value) {
			if rng.IntN(3) == 0 {
				got, err := in.Term().Value.Find(path)
				if err != nil || want.Compare(got) != 0 {
					t.Fatalf("%v: got %v, %v, want %v", path, got, err, want)
				}
			}
			switch want := want.(type) {
			case ast.Object:
				want.Foreach(func(k, v *ast.Term) { visit(path.Append(k), v.Value) })
			case *ast.Array:
				for i := range want.Len() {
					visit(path.Append(ast.InternedTerm(i)), want.Elem(i).Value)
				}
			}
		}
		visit(nil, all)
	}
}

// TestClose: nothing is read of a review whose input is closed.
func TestClose(t *testing.T) {
	in, err := New(reviewtest.Reference(), true)
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, errClosed) {
			t.Errorf("got %v", err)
		}
	}()
	plan.Solid(in.Term())
	t.Error("it was read")
}

// TestCloseWhileRead: what is done with a review once its input is closed meets nobody who
// still looks at it. The race detector is the judge.
func TestCloseWhileRead(t *testing.T) {
	for range 20 {
		r := &engine.Review{Pod: &api.PodSandbox{Labels: map[string]string{}}}
		for i := range 2000 {
			r.Pod.Labels[strconv.Itoa(i)] = "x"
			r.Changes = append(r.Changes, &engine.Change{ID: strconv.Itoa(i), Op: engine.Add, Field: engine.Env, Key: strconv.Itoa(i), Value: "1"})
		}
		in, err := New(r, true)
		if err != nil {
			t.Fatal(err)
		}
		begun, done := make(chan bool), make(chan any)
		go func() {
			defer func() { done <- recover() }()
			close(begun)
			plan.Solid(in.Term())
		}()
		<-begun
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond) //nolint:gosec // anywhere will do
		in.Close()
		clear(r.Pod.Labels)
		for _, c := range r.Changes {
			c.ID, c.Value = "another", "2"
		}
		r.Pod, r.Changes = nil, nil
		if cause := <-done; cause != nil && cause != any(errClosed) {
			t.Fatalf("it panics: %v", cause)
		}
	}
}

// TestRelease: an input that is released holds nothing of its review, and no more room after
// a large one than before.
func TestRelease(t *testing.T) {
	r := reviewtest.Rich()
	for i := range 5000 {
		r.Changes = append(r.Changes, &engine.Change{ID: strconv.Itoa(i), Op: engine.Add, Field: engine.Env, Key: strconv.Itoa(i), Value: "1"},
			&engine.Change{ID: strconv.Itoa(-i), Op: engine.Add, Field: engine.MountPoint, Key: strconv.Itoa(i), Value: &engine.Mount{Options: []string{"ro"}}})
	}
	in, err := New(r, false)
	if err != nil {
		t.Fatal(err)
	}
	plan.Solid(in.Term())
	in.Release()
	wantFree(t, &in.terms, func(x *ast.Term) bool { return x.Value == nil })
	wantFree(t, &in.places, func(x **ast.Term) bool { return *x == nil })
	wantFree(t, &in.structs, func(x *structured) bool { return !x.v.IsValid() && x.in == nil && x.members == nil })
	for _, g := range in.groups[:cap(in.groups)] {
		if g.changes != nil {
			t.Error("changes are kept")
		}
	}
	if in.root != nil || cap(in.groups) > 2*len(compiled().fields) {
		t.Errorf("%v is kept, and room for %d groups", in.root, cap(in.groups))
	}
}

func wantFree[T any](t *testing.T, s *slab[T], free func(*T) bool) {
	t.Helper()
	if len(s.first) != s.size || len(s.free) != s.size || &s.free[0] != &s.first[0] {
		t.Errorf("room for %d, of which %d is free, want %d", len(s.first), len(s.free), s.size)
	}
	for i := range s.first {
		if !free(&s.first[i]) {
			t.Fatalf("%d is kept", i)
		}
	}
}

// TestReleaseShared: whether an input can be closed is not left behind for the next.
func TestReleaseShared(t *testing.T) {
	for i := range 100 {
		shared := i%2 == 0
		in, err := New(reviewtest.Reference(), shared)
		if err != nil {
			t.Fatal(err)
		}
		if in.shared != shared || in.closed {
			t.Fatalf("shared: %t, closed: %t", in.shared, in.closed)
		}
		in.Release()
	}
}
