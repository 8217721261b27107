package request_test

import (
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/nri-guard/nri-guard/cmd/nri-guard/internal/request"
	"github.com/nri-guard/nri-guard/engine"
	"github.com/nri-guard/nri-guard/engine/audit"
)

// read returns the requests and, last, the error's text, if there is one.
func read(name, text string) (requests []*request.Request, message string) {
	for r, err := range request.Read(name, strings.NewReader(text)) {
		if err != nil {
			return requests, err.Error()
		}
		requests = append(requests, r)
	}
	return requests, ""
}

func TestReadMessages(t *testing.T) {
	want := &api.ValidateContainerAdjustmentRequest{
		Pod:       &api.PodSandbox{Name: "web", Uid: "1"},
		Container: &api.Container{Name: "c", Env: []string{"A=b"}, State: api.ContainerState_CONTAINER_CREATED},
		Adjust: &api.ContainerAdjustment{
			Annotations: map[string]string{"t": "2020-01-01", "n": "1", "e": ""},
			Linux: &api.LinuxContainerAdjustment{Resources: &api.LinuxResources{
				Cpu: &api.LinuxCPU{Shares: &api.OptionalUInt64{Value: 18446744073709551615}}}},
		},
		Plugins: []*api.PluginInstance{{Name: "a", Index: "10"}},
	}
	tests := map[string]string{
		"camel.json": `{"pod": {"name": "web", "uid": "1"},
			"container": {"name": "c", "env": ["A=b"], "state": "CONTAINER_CREATED"},
			"adjust": {"annotations": {"t": "2020-01-01", "n": "1", "e": ""},
				"linux": {"resources": {"cpu": {"shares": {"value": "18446744073709551615"}}}}},
			"plugins": [{"name": "a", "index": "10"}]}`,
		"no extension": "\ufeff\n" + `{"pod":{"name":"web","uid":"1"},"container":{"name":"c","env":["A=b"],"state":1},
			"adjust":{"annotations":{"t":"2020-01-01","n":"1","e":""},
			"linux":{"resources":{"cpu":{"shares":{"value":18446744073709551615}}}}},
			"plugins":[{"name":"a","index":"10"}]}`,
		"aliases.yaml": `
pod: {name: web, uid: "1"}
container:
  name: c
  env:
  - &env A=b
  state: CONTAINER_CREATED
adjust:
  annotations: {t: 2020-01-01, "n": "1", e: ""}
  linux:
    resources: {cpu: {shares: {value: 18446744073709551615}}}
plugins:
- {name: a, index: "10"}
`,
	}
	for name, text := range tests {
		got, message := read(name, text)
		if message != "" || len(got) != 1 {
			t.Errorf("%s: %d requests, error %q", name, len(got), message)
			continue
		}
		if diff := cmp.Diff(want, got[0].Message, protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestReadSeveral(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // where
	}{
		{"a.json", `{"pod":{"id":"1"}}` + "\n\n" + `{"pod":{"id":"2"}} {"pod":{"id":"3"}}`, []string{"a.json:1", "a.json:3", "a.json:3"}},
		{"a.yaml", "pod: {id: a}\n---\n# nothing\n---\npod: {id: b}\n---\n", []string{"a.yaml:1", "a.yaml:5"}},
		{"a.yaml", `{"pod":{"id":"1"}}`, []string{"a.yaml:1"}},
		{"-", "pod:\n  id: a\n", []string{"-:1"}},
	}
	for _, tt := range tests {
		got, message := read(tt.name, tt.text)
		if message != "" {
			t.Errorf("%q: %s", tt.text, message)
		}
		var where []string
		for _, r := range got {
			where = append(where, r.Where)
		}
		if diff := cmp.Diff(tt.want, where); diff != "" {
			t.Errorf("%q: %s", tt.text, diff)
		}
	}
}

// TestReadDecisions reads what the decision log writes.
func TestReadDecisions(t *testing.T) {
	review := &engine.Review{
		Version:   engine.Version,
		Operation: engine.CreateContainer,
		Container: &api.Container{Id: "c", Env: []string{"A=secret"}},
		Changes:   []*engine.Change{{ID: "env:B", Op: engine.Add, Field: engine.Env, Key: "B", Value: "secret", Container: "c"}},
		Malformed: []string{"it is odd"},
	}
	var text strings.Builder
	log, err := audit.NewWriter(&text, audit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := log.Record(t.Context(), review, &engine.Decision{ID: "1"}); err != nil {
			t.Fatal(err)
		}
		text.WriteString("\n") // a torn line that was ended leaves an empty one
	}
	got, message := read("-", text.String())
	if message != "" || len(got) != 2 {
		t.Fatalf("%d requests, error %q", len(got), message)
	}
	last := got[1]
	want := &request.Request{Where: "-:3", Masked: []string{"/input/changes/env", "/input/container/env"}}
	if diff := cmp.Diff(want, &request.Request{Where: last.Where, Message: last.Message, Masked: last.Masked}); diff != "" {
		t.Error(diff)
	}
	if c := last.Review.Change("env:B"); c == nil || c.Value != "***" {
		t.Errorf("changes: %v", last.Review.Changes)
	}
	if diff := cmp.Diff(review.Malformed, last.Review.Malformed); diff != "" {
		t.Error(diff)
	}
}

func TestReadMalformed(t *testing.T) {
	bomb := "pod: {annotations: &a0 {k: v}}\nx0: &b0 [a, a, a, a, a, a, a, a, a, a]\n"
	for i, n := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"} {
		before := "*b" + string(rune('0'+i))
		bomb += "x" + n + ": &b" + n + " [" + strings.TrimSuffix(strings.Repeat(before+", ", 10), ", ") + "]\n"
	}
	tests := []struct {
		name, text, want string
	}{
		{"a.json", "", "a.json: holds no request"},
		{"a.json", " \n\t", "a.json: holds no request"},
		{"a.yaml", "# nothing\n---\n", "a.yaml: holds no request"},
		{"-", "", "-: holds no request"},
		{"a.json", "{}", "a.json:1: the request is empty: no pod, no container, nothing to adjust or to update"},
		{"a.yaml", "{}", "a.yaml:1: the request is empty: no pod, no container, nothing to adjust or to update"},
		{"a.json", "\n\n  {\"pod\": null}", "a.json:3: the request is empty: no pod, no container, nothing to adjust or to update"},
		{"a.json", `{"pod": {}}`, "a.json:1: the request is empty: no pod, no container, nothing to adjust or to update"},
		{"a.json", `{"adjust": {}, "container": {}, "update": []}`, "a.json:1: the request is empty: no pod, no container, nothing to adjust or to update"},
		{"a.json", `{"plugins": [{"name": "a"}]}`, "a.json:1: the request is empty: no pod, no container, nothing to adjust or to update"},
		{"a.json", `{"owners": {"owners": {"c": {}}}}`, "a.json:1: the request is empty: no pod, no container, nothing to adjust or to update"},
		{"a.json", "null", `a.json:1:1: unexpected token null`},
		{"a.yaml", "null", `a.yaml:1: unexpected token null`},
		{"a.json", "[]", `a.json:1:1: unexpected token [`},
		{"a.yaml", "- pod: {}", `a.yaml:1: unexpected token [`},
		{"a.yaml", "no request at all", `a.yaml:1: unexpected token (a string)`},
		{"a.json", "{\"pod\": {},\n \"podd\": {}}", `a.json:2:2: unknown field "podd"`},
		{"a.json", `{"pod": {"id": "x"}}` + "\n  " + `{"container": {"envv": []}}`, `a.json:2:18: unknown field "envv"`},
		{"a.yaml", "pod:\n  id: x\n---\ncontainer:\n  env:\n  - A=b\n  envv: []\n", `a.yaml:7: unknown field "envv"`},
		{"a.json", `{"adjust": {"mounts": "x"}}`, `a.json:1:23: unexpected token (a string)`},
		{"a.json", `{"container": {"pid": "1x"}}`, `a.json:1:23: invalid value for uint32 field pid: (a string)`},
		{"a.json", `{"container": {"state": "RUNNING"}}`, `a.json:1:25: invalid value for enum field state: (a string)`},
		{"a.yaml", "container:\n  annotations:\n    a: 1\n", `a.yaml:3: invalid value for string field value: (a number)`},
		{"a.yaml", "container:\n  env:\n  - A: b\n", `a.yaml:3: invalid value for string field env: {`},
		{"a.json", `{"pod": {}, "pod": {}}`, `a.json:1:13: duplicate field "pod"`},
		{"a.yaml", "pod: {}\npod: {}\n", `a.yaml:2: duplicate field "pod"`},
		{"a.json", "{\"pod\":\n {\"id\": \"x\"}", "a.json:2:13: the JSON text ends in the middle of a value"},
		{"a.json", "{\"pod\":\n {id: \"x\"}}", "a.json:2:3: invalid character 'i' looking for beginning of object key string"},
		{"a.json", `{"pod":{"id":"x"}}` + "\n}", "a.json:2:1: invalid character '}' looking for beginning of value"},
		{"-", "{pod: {id: x}}", "-:1:2: invalid character 'p' looking for beginning of object key string"},
		{"a.yaml", "pod:\n  id: [\n", "a.yaml:2: did not find expected node content"},
		{"a.yaml", "pod: *missing\n", "a.yaml: an alias has no anchor; quote a value that begins with an asterisk"},
		{"a.yaml", "a: &x {b: c}\npod:\n  <<: *x\n", "a.yaml:3: keys must be plain names; merge keys are not supported"},
		{"a.yaml", "pod: !secret x\n", "a.yaml:1: tags are not supported; quote a value that begins with an exclamation mark"},
		{"a.yaml", "container:\n  pid: .inf\n", "a.yaml:2: json: unsupported value: +Inf"},
		{"a.yaml", bomb, "a.yaml:7: nested too deeply, or too large once its aliases are followed"},
		{"a.yaml", "pod: &p\n  id: *p\n", "a.yaml:2: nested too deeply, or too large once its aliases are followed"},
		{"a.ndjson", `{"decision_id": "1"}`, "a.ndjson:1: decision 1 has no input"},
		{"a.ndjson", `{"decision_id": "1", "input": {}}` + "\n", "a.ndjson:1: input of decision 1: "},
		{"a.ndjson", `{"decision_id": 1, "input": {}}`, `a.ndjson:1: line of the decision log: decision_id: is or holds a value of type number, must be a string`},
		{"a.ndjson", `{"decision_id": null, "input": []}`, `a.ndjson:1: input of decision : `},
		{"a.ndjson", `{"decision_id": "1", "masked": "x"}`, `a.ndjson:1: line of the decision log: masked: is or holds a value of type string, must be a list of strings`},
		{"a.ndjson", `{"decision_id": "1", "masked": ["x", 1]}`, `a.ndjson:1: line of the decision log: masked: is or holds a value of type number, must be a list of strings`},
		{"a.ndjson", `{"decision_id": "1", "malformed": {}}`, `a.ndjson:1: line of the decision log: malformed: is or holds a value of type object, must be a list of strings`},
	}
	for _, tt := range tests {
		_, got := read(tt.name, tt.text)
		if got != tt.want && !(strings.HasSuffix(tt.want, ": ") && strings.HasPrefix(got, tt.want)) {
			t.Errorf("%q:\n got %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

// TestReadKeepsSecrets: what is no valid request is not quoted, since it can be the
// value of a variable.
func TestReadKeepsSecrets(t *testing.T) {
	const secret, number = "s3cr3tvalue", "8675309"
	tests := []struct {
		name, text, want string
	}{
		{"a.json", `{"adjust": {"env": ["A=s3cr3tvalue"]}}`, "a.json:1:21: unexpected token (a string)"},
		{"a.json", `{"adjust": {"env": "A=\"s3cr3tvalue\""}}`, "a.json:1:20: unexpected token (a string)"},
		{"a.json", `{"adjust": {"env": [{"key": "A", "value": 8675309}]}}`, "a.json:1:43: invalid value for string field value: (a number)"},
		{"a.json", `{"adjust": {"env": [-8675309]}}`, "a.json:1:21: unexpected token (a number)"},
		{"a.json", `{"container": {"pid": "s3cr3tvalue"}}`, "a.json:1:23: invalid value for uint32 field pid: (a string)"},
		{"a.json", `{"owners": {"owners": {"c": {"simple": {"s3cr3tvalue": "x"}}}}}`, "a.json:1:41: invalid value for int32 key: (a string)"},
		{"a.json", `{"adjust": {"env": [s3cr3tvalue]}}`, "a.json:1:21: invalid character 's' looking for beginning of value"},
		{"a.yaml", "adjust:\n  env:\n  - A=s3cr3tvalue\n", "a.yaml:3: unexpected token (a string)"},
		{"a.yaml", "adjust:\n  env:\n  - {A=s3cr3tvalue}\n", "a.yaml:3: unknown field (a string)"},
		{"a.yaml", "adjust:\n  env:\n  - {key: A, value: 8675309}\n", "a.yaml:3: invalid value for string field value: (a number)"},
		{"a.yaml", "adjust:\n  env:\n  - {key: A, value: !s3cr3tvalue x}\n", "a.yaml:3: tags are not supported; quote a value that begins with an exclamation mark"},
		{"a.yaml", "adjust:\n  env:\n  - {key: A, value: *s3cr3tvalue}\n", "a.yaml: an alias has no anchor; quote a value that begins with an asterisk"},
		{"a.yaml", "adjust:\n  env:\n  - {key: A, value: !!int s3cr3tvalue}\n", "a.yaml:3: is no value of type !!int"},
		{"a.ndjson", `{"decision_id": "1", "input": {"version": "s3cr3tvalue"}}`, "a.ndjson:1: input of decision 1: "},
	}
	for _, tt := range tests {
		_, got := read(tt.name, tt.text)
		if !strings.HasPrefix(got, tt.want) || strings.Contains(got, secret) || strings.Contains(got, number) {
			t.Errorf("%q:\n got %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

// FuzzRead: whatever the text, there are requests or an error that begins with
// the file's name.
func FuzzRead(f *testing.F) {
	f.Add("a.json", `{"pod":{"id":"1"}} {"podd":1}`)
	f.Add("a.yaml", "pod: &p {id: a}\n---\n- *p\n")
	f.Add("-", `{"decision_id":"1","input":{"version":1}}`)
	f.Fuzz(func(t *testing.T, name, text string) {
		got, message := read(name, text)
		if len(got) == 0 && message == "" {
			t.Error("neither a request nor an error")
		}
		if message != "" && !strings.HasPrefix(message, name+":") {
			t.Errorf("the error does not say where: %s", message)
		}
		for _, r := range got {
			if (r.Message == nil) == (r.Review == nil) || !strings.HasPrefix(r.Where, name+":") {
				t.Errorf("%+v", r)
			}
		}
	})
}
