package guest_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/nri-guard/nri-guard/wasm-examples/go/guest"
)

// judge answers a request with a function.
func judge(request []byte, f func(*guest.Request) error) (*api.ValidateContainerAdjustmentResponse, error) {
	answer, err := guest.Validator{Judge: f}.Answer(request)
	if err != nil {
		return nil, err
	}
	response := &api.ValidateContainerAdjustmentResponse{}
	return response, proto.Unmarshal(answer, response)
}

// TestRequest has the accessors read random requests, and compares with NRI's own
// code.
func TestRequest(t *testing.T) {
	for seed := range uint64(200) {
		want := &api.ValidateContainerAdjustmentRequest{}
		randomize(rand.New(rand.NewPCG(seed, 0)), want.ProtoReflect(), 0)
		data, err := proto.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got *api.ValidateContainerAdjustmentRequest
		if _, err := judge(data, func(r *guest.Request) error { got = read(r); return nil }); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if diff := cmp.Diff(normal(want), normal(got), protocmp.Transform()); diff != "" {
			t.Fatalf("seed %d: (-NRI +guest)\n%s", seed, diff)
		}
	}
}

// randomize fills a message with values of all sizes.
func randomize(r *rand.Rand, m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case r.IntN(4) == 0 || depth > 8:
		case f.IsMap():
			for range r.IntN(4) {
				value := m.Mutable(f).Map().NewValue()
				if f.MapValue().Message() == nil {
					value = random(r, f.MapValue())
				} else {
					randomize(r, value.Message(), depth+1)
				}
				m.Mutable(f).Map().Set(random(r, f.MapKey()).MapKey(), value)
			}
		case f.IsList():
			for range r.IntN(4) {
				if f.Message() == nil {
					m.Mutable(f).List().Append(random(r, f))
				} else {
					randomize(r, m.Mutable(f).List().AppendMutable().Message(), depth+1)
				}
			}
		case f.Message() != nil:
			randomize(r, m.Mutable(f).Message(), depth+1)
		default:
			m.Set(f, random(r, f))
		}
	}
}

func random(r *rand.Rand, f protoreflect.FieldDescriptor) protoreflect.Value {
	n := r.Uint64() >> r.IntN(64)
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(strings.Repeat("ü", r.IntN(2)) + strings.Repeat("-x=,/", r.IntN(1+r.IntN(60))))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n%2 == 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n % 4))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(n))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(n)
	}
	panic(fmt.Sprint("no random value for ", f.Kind()))
}

// FuzzRequest holds the accessors against NRI's own code, whatever the bytes: what
// both can read they read alike.
func FuzzRequest(f *testing.F) {
	for seed := range uint64(3) {
		m := &api.ValidateContainerAdjustmentRequest{}
		randomize(rand.New(rand.NewPCG(seed, 1)), m.ProtoReflect(), 0)
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, m := range malformed {
		f.Add(unhex(f, m.request))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got *api.ValidateContainerAdjustmentRequest
		_, err := judge(data, func(r *guest.Request) error { got = read(r); return nil })
		want := &api.ValidateContainerAdjustmentRequest{}
		if err != nil || proto.Unmarshal(data, want) != nil {
			return
		}
		if diff := cmp.Diff(normal(want), normal(got), protocmp.Transform()); diff != "" {
			t.Errorf("(-NRI +guest)\n%s", diff)
		}
	})
}

// malformed are requests that are no protobuf where a validator of mounts looks.
var malformed = []struct{ name, request string }{
	{"a tag that does not end", "80"},
	{"a tag and nothing", "1a"},
	{"a length that does not end", "1aff"},
	{"a message longer than the request", "1a05" + "1a"},
	{"a length beyond all memory", "1affffffffffffffffff01"},
	{"a number of eleven bytes", "08" + "ffffffffffffffffffff01"},
	{"a number of more than 64 bits", "08" + "ffffffffffffffffff02"},
	{"field 0", "0200"},
	{"a field number of more than 29 bits", "8280808010" + "00"},
	{"a group", "1b1c"},
	{"the end of a group", "1c"},
	{"wire type 6", "1e"},
	{"wire type 7", "1f"},
	{"a fixed number that is cut off", "09" + "01020304050607"},
	{"a short fixed number that is cut off", "0d" + "010203"},
	{"an adjustment that is a number", "1801"},
	{"mounts that are a number", "1a02" + "1801"},
	{"a destination that is a number", "1a04" + "1a02" + "0801"},
	{"an option that is a fixed number", "1a0a" + "1a08" + "0a012f" + "2500000000"},
	{"a mount that is cut off", "1a03" + "1a05" + "0a"},
	{"an adjustment in pieces, each cut off", "1a02" + "1a04" + "1a04" + "0a022f61"},
	{"a good mount in front of it", "1a09" + "1a07" + "0a012f" + "22027272" + "ff"},
	{"behind the adjustment", "1a00" + "ff"},
}

// TestMalformed reads mounts with a validator that would allow everything, and one
// that would reject it.
func TestMalformed(t *testing.T) {
	for _, c := range malformed {
		for verdict, err := range map[string]error{"allowed": nil, "rejected": guest.Reject("no"), "failed": errors.New("no")} {
			response, got := judge(unhex(t, c.request), func(r *guest.Request) error {
				for m := range r.Adjust().Mounts() {
					_, _ = m.Destination(), m.ReadOnly()
				}
				return err
			})
			if got == nil || got.Error() != "the request is malformed" {
				t.Errorf("%s, %s by the validator: %v, %v", c.name, verdict, response, got)
			}
		}
	}
}

// TestUnusual are requests that no encoder writes and that mean something all the same.
func TestUnusual(t *testing.T) {
	for _, c := range []struct{ name, request, want string }{
		{"the last string counts", "1a08" + "1a06" + "0a012f" + "0a0161", "a"},
		{"an adjustment in pieces", "1a05" + "1a03" + "0a012f" + "1a05" + "1a03" + "0a0161", "/ a"},
		{"numbers longer than they need be", "9a808000" + "858000" + "1a03" + "0a012f", "/"},
		{"fields that nobody knows", "f8ffffff0f" + "01" + "1a06" + "7800" + "1a02" + "7800", ""},
		{"fixed numbers", "390102030405060708" + "3d01020304" + "1a05" + "1a03" + "0a012f", "/"},
	} {
		var got []string
		response, err := judge(unhex(t, c.request), func(r *guest.Request) error {
			for m := range r.Adjust().Mounts() {
				got = append(got, m.Destination())
			}
			return nil
		})
		if err != nil || response.GetReject() || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	data, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAnswer(t *testing.T) {
	for _, c := range []struct {
		name   string
		judge  func(*guest.Request) error
		reason string // of a rejection
		failed string
	}{
		{name: "allowed", judge: func(*guest.Request) error { return nil }},
		{name: "rejected", judge: func(*guest.Request) error { return guest.Reject("no") }, reason: "no"},
		{name: "rejected, wrapped", judge: func(*guest.Request) error { return fmt.Errorf("mounts: %w", guest.Reject("no")) }, reason: "mounts: no"},
		{name: "rejected at length", judge: func(*guest.Request) error { return guest.Reject(strings.Repeat("no", 1000)) }, reason: strings.Repeat("no", 1000)},
		{name: "failed", judge: func(*guest.Request) error { return errors.New("no idea") }, failed: "no idea"},
		{name: "nobody judges", failed: "the module has registered no validator"},
	} {
		response, err := judge(nil, c.judge)
		failed := ""
		if err != nil {
			failed = err.Error()
		}
		if failed != c.failed || response.GetReason() != c.reason || response.GetReject() != (c.reason != "") {
			t.Errorf("%s: %v, %v", c.name, response, err)
		}
	}
	if response, err := judge(nil, func(*guest.Request) error { return guest.Reject("") }); err != nil || !response.GetReject() {
		t.Errorf("rejected without a reason: %v, %v", response, err)
	}
}

// TestEarlyEnd leaves each loop at its first element.
func TestEarlyEnd(t *testing.T) {
	want := &api.ValidateContainerAdjustmentRequest{}
	for seed := uint64(0); len(want.GetAdjust().GetMounts()) < 2 || len(want.GetAdjust().GetHooks().GetPoststop()) < 2 ||
		len(want.GetAdjust().GetArgs()) < 2 || len(want.GetAdjust().GetLinux().GetResources().GetHugepageLimits()) < 2; seed++ {
		want.Reset()
		randomize(rand.New(rand.NewPCG(seed, 2)), want.ProtoReflect(), 0)
	}
	data, err := proto.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	_, err = judge(data, func(r *guest.Request) error {
		a := r.Adjust()
		for name, n := range map[string]int{
			"mounts": first(a.Mounts()), "args": first(a.Args()),
			"hooks": first2(a.Hooks()), "huge pages": first2(a.Linux().Resources().Hugepages()),
		} {
			if n != 1 {
				t.Errorf("%s: %d", name, n)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func first[T any](all iter.Seq[T]) (n int) {
	for range all {
		n++
		break
	}
	return n
}

func first2[A, B any](all iter.Seq2[A, B]) (n int) {
	for range all {
		n++
		break
	}
	return n
}

func TestRemoval(t *testing.T) {
	for name, want := range map[string]string{"-/data": "/data", "-": "", "--x": "-x"} {
		if got, ok := guest.Removal(name); got != want || !ok {
			t.Errorf("%q: %q, %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "/data", "a-b"} {
		if got, ok := guest.Removal(name); got != name || ok {
			t.Errorf("%q: %q, %v", name, got, ok)
		}
	}
}

// TestDependencies holds the package to the standard library, which is what makes
// modules small.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := slices.DeleteFunc(strings.Split(string(out), "\n"), func(s string) bool { return s == "" })
	if diff := cmp.Diff([]string{"github.com/nri-guard/nri-guard/wasm-examples/go/guest"}, got); diff != "" {
		t.Error(diff)
	}
}
