package wasm_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine/policy/wasm"
)

// FuzzResponse holds the reader of answers against protobuf's: what the one takes
// means the same to the other.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{"", "\x08\x01\x12\x02no", "\x08\x00", "\x12\x02no\x08\x01", "\x08\x01\x08\x00", "\x12\x7f"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		reject, reason, err := wasm.ReadResponse(b)
		if err != nil {
			return
		}
		var r api.ValidateContainerAdjustmentResponse
		if err := proto.Unmarshal(b, &r); err != nil {
			t.Fatalf("%x is read, and is no message: %v", b, err)
		}
		if r.GetReject() != reject || r.GetReason() != reason || len(r.ProtoReflect().GetUnknown()) > 0 {
			t.Errorf("%x: %v %q, and protobuf has %v", b, reject, reason, &r)
		}
	})
}

// FuzzViolations holds the reader of commands' answers against encoding/json: what
// the one takes means the same to the other, and nothing that the other finds is
// passed over.
func FuzzViolations(f *testing.F) {
	for _, seed := range []string{`{"violations":[]}`, `{"violations":[{"msg":"a","change":"b"}]}`, `{"violations":[{"msg":"a"}],"violations":[]}`, `{`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := wasm.ReadViolations(b)
		if err != nil {
			return
		}
		var answer struct {
			Violations []struct{ Msg, Change string } `json:"violations"`
		}
		if err := json.Unmarshal(b, &answer); err != nil || !utf8.Valid(b) {
			t.Fatalf("%q is read, and is no answer: %v", b, err)
		}
		if len(answer.Violations) != n {
			t.Errorf("%q: %d violations, and JSON has %d", b, n, len(answer.Violations))
		}
	})
}

// FuzzAnswer has a module answer with any pointer, length and bytes: neither is
// trusted.
func FuzzAnswer(f *testing.F) {
	f.Add(uint64(0), []byte{})
	f.Add(uint64(answerAt)<<32|4, []byte("\x08\x01\x12\x00"))
	f.Add(^uint64(0), []byte("x"))
	f.Fuzz(func(t *testing.T, packed uint64, memory []byte) {
		if len(memory) > 4096 {
			return
		}
		g := newGuest()
		g.Data(answerAt, memory)
		g.validate = constant(packed)
		v := mustLoad(t, g.module(), wasm.Config{Instances: 1}).Judge(t.Context(), middling())
		if len(v.Failures)+len(v.Violations) > 1 || len(v.Costs) != 1 {
			t.Errorf("%#x: %+v", packed, v)
		}
	})
}

// FuzzLoad gives files of any content: an error, or a policy that answers.
func FuzzLoad(f *testing.F) {
	f.Add(newGuest().module())
	f.Add(says(`{"violations":[]}`))
	f.Add([]byte("\x00asm\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, module []byte) {
		p, err := load(t, module, wasm.Config{Instances: 1, Fuel: 100_000, StartFuel: 100_000})
		if err != nil {
			return
		}
		p.Judge(t.Context(), middling())
	})
}
