package proxy_test

import (
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"

	"github.com/nri-guard/nri-guard/engine/nri/proxy/internal/wire"
)

// Nothing reaches the runtime that a newer NRI may understand and this build does not.
func TestAnswersNobodyKnows(t *testing.T) {
	const field = "the message has a field that this build does not know: "

	for method, want := range map[string]struct {
		payload string // where the field 1 is a known one
		refused string // where it is not left out
		ends    bool
	}{
		"Configure":                   {payload: "\x10\x20\x7a\x01x", refused: field + "ConfigureResponse#15", ends: true},
		"RunPodSandbox":               {refused: field + "RunPodSandboxResponse#1"},
		"UpdatePodSandbox":            {refused: field + "UpdatePodSandboxResponse#1"},
		"StartContainer":              {refused: field + "StartContainerResponse#1"},
		"ValidateContainerAdjustment": {payload: "\x7a\x01x", refused: field + "ValidateContainerAdjustmentResponse#15"},
		"Shutdown":                    {},
		"PostUpdatePodSandbox":        {},
		"StopPodSandbox":              {},
		"RemovePodSandbox":            {},
		"PostCreateContainer":         {},
		"PostStartContainer":          {},
		"PostUpdateContainer":         {},
		"RemoveContainer":             {},
		"StateChange":                 {},
	} {
		t.Run(method, func(t *testing.T) {
			r, p, g := newRawRig(t, nil)
			payload := "\x0a\x09adjust me"
			if want.payload != "" {
				payload = want.payload
			}
			r.send(r.call(method, &api.Empty{}))
			m := p.called(method)
			p.send(wire.Message{Conn: m.Conn, Stream: m.Stream, Type: wire.Response, Payload: encode(t, &ttrpc.Response{Payload: []byte(payload)})})
			came := r.receive()
			rsp := &ttrpc.Response{}
			if err := proto.Unmarshal(came.Payload, rsp); err != nil {
				t.Fatal(err)
			}
			if len(rsp.GetPayload()) > 0 || rsp.GetStatus().GetMessage() != want.refused {
				t.Errorf("relayed: %v, want %q", rsp, want.refused)
			}
			if want.refused == "" {
				eventually(t, "that it is left out is logged", func() bool {
					return len(g.log.lines("level=warning", "What a plugin answers to "+method+" is left out")) == 1
				})
			}
			if want.ends {
				p.closed()
			} else if _, came := exchange(r, p, method, &api.Empty{}, &api.Empty{}); errorOf(t, came) != "" {
				t.Errorf("the next answer is refused: %s", errorOf(t, came))
			}
		})
	}
}

func TestFailurePolicyNobodyKnows(t *testing.T) {
	r, p, _ := newRawRig(t, nil)
	r.send(r.call("Configure", &api.ConfigureRequest{}))
	m := p.called("Configure")
	p.send(wire.Message{Conn: m.Conn, Stream: m.Stream, Type: wire.Response, Payload: encode(t, &ttrpc.Response{Payload: []byte("\x1a\x03\x7a\x01x")})})
	if got, want := errorOf(t, r.receive()), "FailurePolicy#15"; !strings.HasSuffix(got, want) {
		t.Errorf("answer %q does not end in %q", got, want)
	}
}

// Names are in every line of the log: they are as long as a file's name can be, which is
// what runtimes call the plugins after that they start.
func TestLongNames(t *testing.T) {
	r := newRig(t, nil)
	for _, tt := range []struct{ index, name, want string }{
		{"10", strings.Repeat("a", 255), ""},
		{"10", strings.Repeat("a", 256), "the plugin's name has 256 bytes; at most 255 are allowed"},
		{strings.Repeat("1", 256), "a", "the plugin's index has 256 bytes; at most 255 are allowed"},
	} {
		p := dialRaw(t, r.socket)
		got := p.ask("RegisterPlugin", &api.RegisterPluginRequest{PluginName: tt.name, PluginIdx: tt.index})
		if got != tt.want {
			t.Errorf("%d bytes: answer %q, want %q", len(tt.name), got, tt.want)
		}
		if tt.want != "" {
			p.closed()
		}
	}
	if got := len(r.log.lines(strings.Repeat("a", 256))); got > 0 {
		t.Errorf("the name is logged %d times", got)
	}
}
