package wasm_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/policy/wasm"
	"github.com/nri-guard/nri-guard/engine/policy/wasm/internal/wasmtest"
)

// What modules of NRI's convention answer, and what becomes of it: a violation, or a
// failure, or neither, which allows.
func TestAnswer(t *testing.T) {
	const noResponse = "its answer is no ValidateContainerAdjustmentResponse: "
	const end = 2 << 16
	for name, c := range map[string]struct {
		make      func(g *guest)
		violation string
		failure   string
	}{
		"nothing":             {func(g *guest) {}, "", ""},
		"an empty message":    {func(g *guest) { g.validate = packed(answerAt, 0) }, "", ""},
		"allowed, spelt out":  {func(g *guest) { g.answer([]byte("\x08\x00")) }, "", ""},
		"a reason to allow":   {func(g *guest) { g.answer([]byte("\x12\x04fine")) }, "", ""},
		"rejected":            {func(g *guest) { g.answer([]byte("\x08\x01\x12\x07no such")) }, "no such", ""},
		"another order":       {func(g *guest) { g.answer([]byte("\x12\x02no\x08\x01")) }, "no", ""},
		"rejected, no reason": {func(g *guest) { g.answer([]byte("\x08\x01")) }, "rejected, for no reason that it gives", ""},
		"control characters":  {func(g *guest) { g.answer([]byte("\x08\x01\x12\x05\x1b[31m")) }, "\x1b[31m", ""},
		"a reason of length":  {func(g *guest) { g.answer(rejection(strings.Repeat("x", 4096))) }, strings.Repeat("x", 4096), ""},
		"a reason too long":   {func(g *guest) { g.answer(rejection(strings.Repeat("\u00e9", 3_000))) }, strings.Repeat("\u00e9", 2048) + "...", ""},
		"one cut in a letter": {func(g *guest) { g.answer(rejection("x" + strings.Repeat("\u00e9", 3_000))) },
			"x" + strings.Repeat("\u00e9", 2047) + "...", ""},
		"at the end of memory": {func(g *guest) {
			g.Data(end-4, []byte("\x08\x01\x12\x00"))
			g.validate = packed(end-4, 4)
		}, "rejected, for no reason that it gives", ""},

		"cut off":            {func(g *guest) { g.answer([]byte("\x08\x01\x12\x07no")) }, "", noResponse + "it is cut off"},
		"cut off in a tag":   {func(g *guest) { g.answer([]byte("\x08\x01\x92")) }, "", noResponse + "it is cut off"},
		"cut off in a bool":  {func(g *guest) { g.answer([]byte("\x08")) }, "", noResponse + "it is cut off"},
		"a great length":     {func(g *guest) { g.answer([]byte("\x08\x01\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")) }, "", noResponse + "it is cut off"},
		"a varint too long":  {func(g *guest) { g.answer([]byte("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")) }, "", noResponse + "it is cut off"},
		"no bool":            {func(g *guest) { g.answer([]byte("\x08\x02")) }, "", noResponse + "reject is 2"},
		"taken back":         {func(g *guest) { g.answer([]byte("\x08\x01\x08\x00")) }, "", noResponse + "field 1 stands there twice"},
		"two reasons":        {func(g *guest) { g.answer([]byte("\x08\x01\x12\x01a\x12\x01b")) }, "", noResponse + "field 2 stands there twice"},
		"another message":    {func(g *guest) { g.answer([]byte("\x1a\x01a")) }, "", noResponse + "it has a field 3 of type 2, which is not known"},
		"another type":       {func(g *guest) { g.answer([]byte("\x0a\x00")) }, "", noResponse + "it has a field 1 of type 2, which is not known"},
		"text":               {func(g *guest) { g.answer([]byte("allow")) }, "", noResponse + "it has a field 12 of type 1, which is not known"},
		"invalid UTF-8":      {func(g *guest) { g.answer([]byte("\x08\x01\x12\x01\xff")) }, "", noResponse + "the reason is no UTF-8"},
		"an error":           {func(g *guest) { errorAnswer(g, "bad \"day\"\n\x1b") }, "", `it answers with an error: "bad \"day\"` + "\uFFFD\uFFFD\""},
		"an error of length": {func(g *guest) { errorAnswer(g, strings.Repeat("x", 600)) }, "", `it answers with an error: "` + strings.Repeat("x", 512) + `"`},
		"an empty error":     {func(g *guest) { errorAnswer(g, "") }, "", `it answers with an error: ""`},
		"beyond memory":      {func(g *guest) { g.validate = packed(end-1, 2) }, "", "its answer of 2 bytes at 0x1ffff is not all in its memory of 131072 bytes"},
		"around the end":     {func(g *guest) { g.validate = packed(0xffffffff, 2) }, "", "its answer of 2 bytes at 0xffffffff is not all in its memory of 131072 bytes"},
		"too long":           {func(g *guest) { g.validate = packed(answerAt, 65537) }, "", "its answer is too long (65537 bytes): it has more than the 65536 bytes that answerBytes allows"},
		"as long as can be":  {func(g *guest) { g.validate = packed(answerAt, 1<<31-1) }, "", "its answer is too long (2147483647 bytes): it has more than the 65536 bytes that answerBytes allows"},
		"an error as long":   {func(g *guest) { g.validate = wasmtest.I64Const(-1) }, "", "its answer is too long (2147483647 bytes): it has more than the 65536 bytes that answerBytes allows"},
		"malloc has none":    {func(g *guest) { big(g, 0) }, "", "its malloc had no 104 bytes for the request"},
		"malloc at the end":  {func(g *guest) { big(g, end) }, "", "its malloc returned 104 bytes at 0x20000, which are not all in its memory of 131072 bytes"},
		"malloc too near":    {func(g *guest) { big(g, end-103) }, "", "its malloc returned 104 bytes at 0x1ff99, which are not all in its memory of 131072 bytes"},
		"malloc far away":    {func(g *guest) { big(g, -1) }, "", "its malloc returned 104 bytes at 0xffffffff, which are not all in its memory of 131072 bytes"},
		"malloc where the answer is": {func(g *guest) {
			g.answer([]byte("\x08\x01"))
			big(g, answerAt)
		}, "", noResponse + "it is cut off"}, // it answers with its request
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest()
			c.make(g)
			v := mustLoad(t, g.module(), wasm.Config{}).Judge(t.Context(), middling())
			var violation, failure string
			if len(v.Violations) > 0 {
				violation = v.Violations[0].Message
			}
			if len(v.Failures) > 0 {
				failure = v.Failures[0].Message
			}
			if violation != c.violation || failure != c.failure {
				t.Errorf("violation %q, failure %q, want %q and %q", violation, failure, c.violation, c.failure)
			}
			if len(v.Costs) != 1 || v.Costs[0].Fuel == 0 {
				t.Errorf("costs: %+v", v.Costs)
			}
		})
	}
}

func rejection(reason string) []byte {
	return append([]byte("\x08\x01\x12"), wasmtest.Vec([]byte(reason))...)
}

func errorAnswer(g *guest, text string) {
	g.answer([]byte(text))
	g.validate = packed(answerAt, 1<<31|len(text))
}

// big has malloc return a pointer for what is not small.
func big(g *guest, ptr int) {
	g.malloc = wasmtest.Cat(opLocalGet, 0, wasmtest.I32Const(64), opI32GtU,
		opIf, wasmtest.I32, wasmtest.I32Const(int32(ptr)), opElse, wasmtest.I32Const(requestAt), opEnd)
}

// What commands answer.
func TestCommandAnswer(t *testing.T) {
	const bad = "its answer is not as it must be: "
	for name, c := range map[string]struct{ answer, violations, failure string }{
		"nothing wrong":      {`{"violations": []}`, "", ""},
		"white space":        {"\n {\"violations\" : [ ] } \n\n", "", ""},
		"a message":          {`{"violations": [{"msg": "no"}]}`, "no/", ""},
		"a change":           {`{"violations": [{"change": "env:A"}]}`, "/env:A", ""},
		"both, and another":  {`{"violations": [{"change": "env:A", "msg": "a\u0041"}, {"msg":"b"}]}`, "aA/env:A b/", ""},
		"a message too long": {`{"violations": [{"msg": "` + strings.Repeat("x", 60_000) + `"}]}`, strings.Repeat("x", 4096) + ".../", ""},
		"no such long change": {`{"violations": [{"change": "` + strings.Repeat("x", 60_000) + `"}]}`, "",
			`it objects to a change "` + strings.Repeat("x", 100) + `"... that is not in the review`},
		"a long key":          {`{"` + strings.Repeat("x", 60_000) + `": []}`, "", bad + `unknown key "` + strings.Repeat("x", 100) + `"`},
		"empty":               {" \n", "", bad + `it is empty, and {"violations": []} is what allows`},
		"an empty object":     {`{}`, "", bad + `it has no key "violations"`},
		"null":                {`null`, "", bad + "the answer must be an object"},
		"a list":              {`[]`, "", bad + "the answer must be an object"},
		"no list":             {`{"violations": null}`, "", bad + "violations must be a list"},
		"an object":           {`{"violations": {}}`, "", bad + "violations must be a list"},
		"unknown key":         {`{"violation": []}`, "", bad + `unknown key "violation"`},
		"another case":        {`{"Violations": []}`, "", bad + `unknown key "Violations"`},
		"another key":         {`{"violations": [], "allow": true}`, "", bad + `unknown key "allow"`},
		"twice":               {`{"violations": [{"msg": "no"}], "violations": []}`, "", bad + `key "violations" stands there twice`},
		"twice, in disguise":  {`{"violations": [{"msg": "no"}], "violation\u0073": []}`, "", bad + `key "violations" stands there twice`},
		"unknown key within":  {`{"violations": [{"message": "no"}]}`, "", bad + `unknown key "message" of a violation`},
		"twice within":        {`{"violations": [{"msg": "no", "msg": "yes"}]}`, "", bad + `key "msg" stands there twice`},
		"neither":             {`{"violations": [{}]}`, "", bad + "a violation has neither msg nor change"},
		"empty message":       {`{"violations": [{"msg": ""}]}`, "", bad + "msg must be a string that is not empty"},
		"a number":            {`{"violations": [{"msg": 1}]}`, "", bad + "msg must be a string that is not empty"},
		"no object":           {`{"violations": ["no"]}`, "", bad + "a violation must be an object"},
		"nested":              {`{"violations": [[{"msg": "no"}]]}`, "", bad + "a violation must be an object"},
		"trailing":            {`{"violations": []} {"violations": []}`, "", bad + "there is something behind it"},
		"trailing nonsense":   {`{"violations": []}x`, "", bad + "there is something behind it"},
		"cut off":             {`{"violations": [{"msg": "no"`, "", bad + "it ends too early"},
		"cut off in a string": {`{"violations": [{"msg": "no`, "", bad + "it ends too early"},
		"no JSON":             {`allow`, "", bad + "it is no JSON: invalid character 'a' looking for beginning of value"},
		"invalid UTF-8":       {"{\"violations\": [{\"msg\": \"\xff\"}]}", "", bad + "it is no UTF-8"},
		"too many":            {`{"violations": [` + strings.Repeat(`{"msg":"a"},`, 1000) + `{"msg":"a"}]}`, "", bad + "it has more than 1000 violations"},
	} {
		t.Run(name, func(t *testing.T) {
			v := mustLoad(t, says(c.answer), wasm.Config{}).Judge(t.Context(), small())
			var violations []string
			for _, x := range v.Violations {
				violations = append(violations, x.Message+"/"+x.Change)
			}
			failure := ""
			if len(v.Failures) > 0 {
				failure = v.Failures[0].Message
			}
			if got := strings.Join(violations, " "); got != c.violations || failure != c.failure {
				t.Errorf("violations %q, failure %q, want %q and %q", got, failure, c.violations, c.failure)
			}
		})
	}
}

// A module sees what it may see, whole and nothing else.
func TestCommandSeesTheDocument(t *testing.T) {
	c := newCommand()
	// Reads up to 64 KiB and answers with what it has read.
	i32 := wasmtest.I32Const
	module := c.module(
		i32(16), i32(answerAt), opI32Store, 2, 0, i32(20), i32(1<<16), opI32Store, 2, 0,
		i32(0), i32(16), i32(1), i32(32), opCall, c.calls["fd_read"], opDrop,
		i32(20), i32(32), opI32Load, 2, 0, opI32Store, 2, 0,
		i32(1), i32(16), i32(1), i32(36), opCall, c.calls["fd_write"], opDrop)
	got := failure(mustLoad(t, module, wasm.Config{}), small())
	if !strings.Contains(got, `unknown key "version"`) {
		t.Errorf("failure: %s", got)
	}
}

// A change that does not exist is a failure, in the engine.
func TestUnknownChange(t *testing.T) {
	p := mustLoad(t, says(`{"violations": [{"change": "mount:/x"}]}`), wasm.Config{})
	d := engine.New(engine.Rules{Policies: set{p}, Timeout: time.Minute}).Decide(t.Context(), small())
	if d.Allowed || len(d.Failures) != 1 || d.Failures[0].Message != `it objects to a change "mount:/x" that is not in the review` {
		t.Errorf("decision: %+v", d)
	}
	if len(d.Costs) != 1 || d.Costs[0].Policy != "policy" || d.Costs[0].Fuel == 0 {
		t.Errorf("costs: %+v", d.Costs)
	}
}

// set makes a program a set of policies.
type set struct{ *wasm.Program }

func (set) Revision() string { return "r" }
